#include "body_source.h"

#include "base/check.h"

#include <stdlib.h>

static struct slice told(const struct body_source *source, struct message_ref name)
{
	return journal_record_packet(source->record, name);
}

static void on_load(void *context, struct store_load **asked)
{
	struct body_source *source = context;
	struct store_load *load = *asked;
	*asked = NULL;
	CHECK(load->count != 0 && load->count <= STORE_LOAD_MAX);
	uint64_t bytes = 0;
	for (const struct store_load *other = source->asked; other != NULL; other = other->next)
		CHECK(!client_ref_equal(other->client, load->client) || other->generation != load->generation);
	for (uint32_t i = 0; i < load->count; i++) {
		CHECK(load->bodies[i].packet == NULL);
		CHECK_EQ(told(source, load->bodies[i].message).size, load->bodies[i].packet_bytes);
		bytes += load->bodies[i].packet_bytes;
	}
	source->loads++;
	source->bodies += load->count;
	if (load->count > source->bodies_max)
		source->bodies_max = load->count;
	if (bytes > source->bytes_max)
		source->bytes_max = bytes;
	load->next = source->asked;
	source->asked = load;
	source->asked_count++;
}

/* Its memory comes by reallocarray(), which a sweep of refused memory (failing_memory.h) leaves alone. The asker still
 * has its references, so the journal knows all of them. */
static void read_body(struct body_source *source, struct store_body *body)
{
	struct slice packet = told(source, body->message);
	CHECK_EQ(packet.size, body->packet_bytes);
	if (source->fails_one != 0 && random_below(&source->random, source->fails_one) == 0) {
		source->failed++;
		body->later = source->fails_for_now;
		return;
	}
	body->packet = reallocarray(NULL, body->packet_bytes, 1);
	CHECK(body->packet != NULL);
	memcpy(body->packet, packet.data, body->packet_bytes);
}

static struct store_load *on_loaded(void *context)
{
	struct body_source *source = context;
	bool late = source->lateness != 0 && random_below(&source->random, source->lateness) != 0;
	if (source->holds || source->asked == NULL || late)
		return NULL;
	struct store_load **place = &source->asked;
	for (uint32_t skip = random_below(&source->random, source->asked_count); skip != 0; skip--)
		place = &(*place)->next;
	struct store_load *load = *place;
	*place = load->next;
	source->asked_count--;
	for (uint32_t i = 0; i < load->count; i++)
		read_body(source, &load->bodies[i]);
	return load;
}

const struct message_source BODY_SOURCE = {.load = on_load, .loaded = on_loaded};

void body_source_begin(struct body_source *source, const struct journal_record *record)
{
	*source = (struct body_source){.record = record, .random = {77}, .lateness = 2};
}

void body_source_end(struct body_source *source)
{
	while (source->asked != NULL) {
		struct store_load *load = source->asked;
		source->asked = load->next;
		free(load);
	}
	source->asked_count = 0;
}
