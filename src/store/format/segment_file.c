#include "store/format/segment_file.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_DIGITS 10u
#define SKIP_BYTES ((size_t)4 << 10) /* around a place that cannot be read: a device's block */
#define PIECE_BYTES ((size_t)4 << 20)

/* ---- names ---- */

const char *store_segment_name(uint32_t number, char text[STORE_SEGMENT_NAME_BYTES])
{
	int size = snprintf(text, STORE_SEGMENT_NAME_BYTES, "%010u.log", number);
	CHECK(size > 0 && (size_t)size < STORE_SEGMENT_NAME_BYTES);
	return text;
}

uint32_t store_segment_number(const char *name)
{
	uint64_t number = 0;
	for (size_t i = 0; i < NAME_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		number = number * 10 + (uint64_t)(name[i] - '0');
	}
	return number <= UINT32_MAX && strcmp(name + NAME_DIGITS, ".log") == 0 ? (uint32_t)number : 0;
}

struct number_list {
	uint32_t *numbers;
	uint32_t count;
	uint32_t room;
	bool failed;
};

static void collect_segment_number(void *argument, const char *name)
{
	struct number_list *list = argument;
	uint32_t number = store_segment_number(name);
	if (number == 0 || list->failed)
		return;
	if (list->count == list->room) {
		uint32_t room = list->room * 2 + 64;
		uint32_t *grown = reallocarray(list->numbers, room, sizeof(*grown));
		list->failed = grown == NULL;
		if (list->failed)
			return;
		list->numbers = grown;
		list->room = room;
	}
	list->numbers[list->count++] = number;
}

static int compare_numbers(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return a < b ? -1 : a > b;
}

int segment_file_list(const struct disk *disk, uint32_t **numbers, uint32_t *count)
{
	struct number_list list = {.numbers = NULL};
	int error = disk->operations->list(disk->context, collect_segment_number, &list);
	if (error == 0 && list.failed)
		error = -ENOMEM;
	if (error != 0) {
		free(list.numbers);
		list = (struct number_list){.numbers = NULL};
	}
	if (list.count != 0)
		qsort(list.numbers, list.count, sizeof(*list.numbers), compare_numbers);
	*numbers = list.numbers;
	*count = list.count;
	return error;
}

/* ---- a file ---- */

static int open_segment(const struct disk *disk, uint32_t number, struct disk_file **file, uint64_t *size)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	int error = disk->operations->open(disk->context, store_segment_name(number, name), false, file);
	if (error != 0)
		return error;
	error = disk->operations->size(disk->context, *file, size);
	if (error == 0 && *size > SEGMENT_FILE_BYTES_MAX)
		error = -EFBIG;
	if (error != 0)
		disk->operations->close(disk->context, *file);
	return error;
}

int segment_file_head(const struct disk *disk, uint32_t number, struct segment_file_head *head)
{
	struct disk_file *file;
	uint8_t bytes[sizeof(struct store_segment_header)];
	size_t got = 0;
	*head = (struct segment_file_head){.state = STORE_HEADER_EMPTY};
	int error = open_segment(disk, number, &file, &head->file_bytes);
	if (error != 0)
		return error;
	error = disk->operations->read(disk->context, file, bytes, sizeof(bytes), 0, &got);
	disk->operations->close(disk->context, file);
	if (error == 0)
		head->state = store_segment_header_check(slice_of(bytes, got), &head->header);
	return error;
}

/* What can be read; the blocks that the device cannot read are zeros. */
static void read_what_can_be(const struct disk *disk, struct disk_file *from, struct segment_file *file, size_t begin,
			     size_t end)
{
	for (size_t at = begin; at < end; at += SKIP_BYTES) {
		size_t size = end - at < SKIP_BYTES ? end - at : SKIP_BYTES, got = 0;
		memset(file->bytes + at, 0, size);
		int error = disk->operations->read(disk->context, from, file->bytes + at, size, at, &got);
		if (error == 0)
			continue;
		memset(file->bytes + at, 0, size);
		file->unreadable_bytes += size;
		file->unreadable_error = error;
	}
}

/* Where it is not known, data may be anywhere. */
static size_t next_data(const struct disk *disk, struct disk_file *from, size_t offset, size_t size)
{
	uint64_t next = offset;
	if (disk->operations->next_data == NULL || disk->operations->next_data(disk->context, from, offset, &next) != 0)
		return offset;
	CHECK_GE(next, offset);
	return next < size ? (size_t)next : size; /* it may have grown meanwhile */
}

/* Up to here the buffer has bytes of the file that was in it before. */
static void clear_before(const struct segment_file *file, size_t before_size, size_t begin, size_t end)
{
	if (end > before_size)
		end = before_size;
	if (end > begin)
		memset(file->bytes + begin, 0, end - begin);
}

static size_t size_without_zeros(const uint8_t *bytes, size_t size)
{
	static const uint8_t ZEROS[4096];
	while (size >= sizeof(ZEROS) && memcmp(bytes + size - sizeof(ZEROS), ZEROS, sizeof(ZEROS)) == 0)
		size -= sizeof(ZEROS);
	while (size > 0 && bytes[size - 1] == 0)
		size--;
	return size;
}

static int read_data(const struct disk *disk, struct disk_file *from, struct segment_file *file, bool may_skip)
{
	size_t before_size = file->data_size, end = 0;
	int error = 0;
	while (error == 0 && end < file->size) {
		size_t begin = next_data(disk, from, end, file->size);
		clear_before(file, before_size, end, begin);
		size_t rest = file->size - begin, got = 0;
		size_t size = rest < PIECE_BYTES ? rest : PIECE_BYTES;
		if (size != 0)
			error = disk->operations->read(disk->context, from, file->bytes + begin, size, begin, &got);
		end = begin + size;
		if (error == 0 && got < size) {
			file->size = begin + got; /* it has become shorter meanwhile */
		} else if (error != 0 && may_skip) {
			read_what_can_be(disk, from, file, begin, end);
			error = 0;
		}
	}
	if (end > before_size)
		before_size = end;
	clear_before(file, before_size, file->size, before_size);
	file->data_size = error == 0 ? size_without_zeros(file->bytes, file->size) : before_size;
	return error;
}

int segment_file_read(const struct disk *disk, const struct store_segment_header *header, bool may_skip,
		      struct segment_file *file)
{
	struct disk_file *from;
	uint64_t size;
	int error = open_segment(disk, header->number, &from, &size);
	if (error != 0)
		return error;
	file->header = *header;
	file->unreadable_bytes = 0;
	file->unreadable_error = 0;
	if (size > file->room) {
		free(file->bytes);
		file->room = (size_t)(size + size / 4); /* one buffer for all: segments differ by a commit */
		file->data_size = 0;
		file->bytes = calloc(file->room, 1); /* what is not touched takes no memory */
		if (file->bytes == NULL)
			file->room = 0;
	}
	file->size = (size_t)size;
	error = file->bytes != NULL ? read_data(disk, from, file, may_skip) : -ENOMEM;
	disk->operations->close(disk->context, from);
	return error;
}

void segment_file_fini(struct segment_file *file)
{
	free(file->bytes);
	*file = (struct segment_file){.bytes = NULL};
}

/* ---- its commits ---- */

static struct slice rest_at(const struct segment_file *file, size_t offset)
{
	return slice_of(file->bytes + offset, file->size - offset);
}

struct segment_walk segment_walk(const struct segment_file *file)
{
	size_t offset = sizeof(struct store_segment_header);
	return (struct segment_walk){
		.file = file, .offset = offset < file->size ? offset : file->size, .number = file->header.first_commit};
}

enum store_commit_state segment_walk_next(struct segment_walk *walk)
{
	CHECK_LE(walk->offset, walk->file->size);
	size_t size = 0;
	struct slice rest = rest_at(walk->file, walk->offset);
	enum store_commit_state state =
		store_commit_check(rest, &walk->file->header, walk->number, &walk->header, &size);
	if (state != STORE_COMMIT_GOOD)
		return state;
	CHECK_LE(size, rest.size);
	walk->commit_offset = walk->offset;
	walk->payload = slice_of(rest.data + sizeof(walk->header), size - sizeof(walk->header));
	walk->offset += size;
	walk->number++;
	return state;
}

static bool has_section(struct slice payload, uint16_t shard)
{
	struct store_section_header section;
	struct slice records;
	size_t offset = 0;
	bool bad;
	while (store_section_next(payload, &offset, &section, &records, &bad))
		if (section.shard == shard)
			return true;
	return false;
}

bool segment_walk_find(struct segment_walk *walk, uint64_t limit, bool synced)
{
	struct store_commit_header header;
	struct segment_walk try = *walk;
	for (try.offset += STORE_ALIGNMENT;
	     try.offset < walk->file->data_size && try.offset + sizeof(header) <= walk->file->size;
	     try.offset += STORE_ALIGNMENT) {
		memcpy(&header, walk->file->bytes + try.offset, sizeof(header));
		if (header.magic != STORE_COMMIT_MAGIC || header.number <= walk->number || header.number >= limit)
			continue;
		/* The commits between lie between: a number that they have no room for is in somebody's payload, and
		 * checking it might read the rest of the file for each. */
		if (header.number - walk->number > (try.offset - walk->offset) / sizeof(header))
			continue;
		struct segment_walk found = try;
		found.number = header.number;
		if (segment_walk_next(&found) != STORE_COMMIT_GOOD ||
		    (synced && has_section(found.payload, STORE_SECTION_UNSYNCED)))
			continue;
		walk->offset = try.offset;
		walk->number = header.number;
		return true;
	}
	return false;
}

uint64_t segment_walk_rest(const struct segment_walk *walk)
{
	size_t end = walk->file->data_size;
	return end > walk->offset ? end - walk->offset : 0;
}
