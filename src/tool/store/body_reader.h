/* Reads bodies of messages, and keeps the file open that the last one lay in. Main thread. */
#ifndef TOOL_STORE_BODY_READER_H
#define TOOL_STORE_BODY_READER_H

#include "store/model/replay.h"

struct body_reader {
	const struct disk *disk;
	uint32_t segment; /* that is open; 0: none */
	struct disk_file *file;
};

/* *packet is malloc()ed. Errors as replay_read_body() has them; ERROR_NOT_FOUND also where the segment is missing. */
enum error body_reader_read(struct body_reader *reader, const struct model_message *message, uint8_t **packet);
void body_reader_close(struct body_reader *reader);

#endif
