/* What the table of connected clients reads: presence events, in which clients have chosen ids and users; and numbers
 * with which Redis answers. The first byte says which of it the others are. */
#include "fuzz.h"

#include "relay/table/table_entry.h"
#include "relay/table/table_writer.h"

#define WALL_MS UINT64_C(1700000000000)

/* What was written of a client is JSON. */
static void check_entry(const struct table_entry *entry)
{
	struct bytes json = {0};
	struct strict_node nodes[TABLE_EVENT_NODES];
	struct strict_json read = {.nodes = nodes, .capacity = TABLE_EVENT_NODES};
	size_t at;
	table_entry_write(entry, &json);
	CHECK(!json.failed && strict_json_read(&read, json.data, json.size, &at) == NULL);
	const struct strict_node *user = strict_member(&read, nodes, slice_string("user"));
	CHECK((user != NULL) == (entry->user.size != 0));
	CHECK(user == NULL || slice_equal(user->text, entry->user));
	bytes_free(&json);
}

static void read_event(const char *topic, struct slice bytes)
{
	struct table_event event;
	uint8_t *payload = block_new(bytes.size);
	if (bytes.size != 0)
		memcpy(payload, bytes.data, bytes.size);
	table_event_read(slice_string(topic), payload, bytes.size, &event);
	if (event.change != TABLE_NOTHING) {
		CHECK(event.client.size != 0);
		check_entry(&event.entry);
	}
	free(payload);
}

static void read_coming(struct slice bytes)
{
	read_event(TABLE_TOPIC_COMES, bytes);
}

static void read_going(struct slice bytes)
{
	read_event(TABLE_TOPIC_GOES, bytes);
}

static void read_other(struct slice bytes)
{
	read_event("$SYS/presence/subscribed", bytes);
}

/* Each byte is a step: something to write, or an answer, which is a word or a number. */
static void read_answers(struct slice bytes)
{
	struct table_writer writer;
	table_writer_init(&writer, "t", "n");
	table_writer_begin(&writer);
	for (size_t i = 0; i < bytes.size; i++) {
		uint8_t step = bytes.data[i] >> 5;
		if (step == 0)
			table_writer_put(&writer, slice_string("c"), slice_string("{}"));
		else if (step == 1)
			table_writer_remove(&writer, slice_string("c"));
		else if (step == 2)
			table_writer_end_batch(&writer);
		else if (step == 3)
			table_writer_renew(&writer, WALL_MS);
		else if (step == 4 && writer.is_making && !table_writer_owes(&writer))
			table_writer_finish(&writer, WALL_MS);
		else if (step > 4 && !table_writer_hear(&writer, step != 5, (int64_t)(bytes.data[i] & 31) - 1))
			break;
		CHECK(writer.heard <= writer.due.size && !writer.out.failed);
	}
	table_writer_free(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const READERS[])(struct slice) = {read_coming, read_going, read_other, read_answers};
	if (size == 0 || data[0] >= sizeof(READERS) / sizeof(READERS[0]))
		return 0;
	READERS[data[0]](slice_of(data + 1, size - 1));
	return 0;
}
