#include "tool/store/body_reader.h"

#include "base/check.h"

void body_reader_close(struct body_reader *reader)
{
	if (reader->segment != 0)
		reader->disk->operations->close(reader->disk->context, reader->file);
	reader->segment = 0;
}

enum error body_reader_read(struct body_reader *reader, const struct model_message *message, uint8_t **packet)
{
	const struct disk *disk = reader->disk;
	char name[STORE_SEGMENT_NAME_BYTES];
	uint32_t segment = message->place.segment;
	int error;
	*packet = NULL;
	CHECK_NE(segment, 0u); /* a message that was kept has a place */
	if (reader->segment != segment) {
		body_reader_close(reader);
		if (disk->operations->open(disk->context, store_segment_name(segment, name), false, &reader->file) != 0)
			return ERROR_NOT_FOUND;
		reader->segment = segment;
	}
	return replay_read_body(disk, reader->file, message->place.offset, &message->publication, packet, &error);
}
