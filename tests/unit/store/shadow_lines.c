#include "shadow_store.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lines ---- */

static int compare_lines(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static char *sort_lines(char *text)
{
	size_t count = 0, size = strlen(text) + 1;
	char **lines = calloc(size, sizeof(char *)), *sorted = calloc(size, 1), *rest = NULL;
	CHECK(lines != NULL && sorted != NULL);
	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		lines[count++] = line;
	qsort(lines, count, sizeof(char *), compare_lines);
	char *at = sorted;
	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s\n", lines[i]);
	free(lines);
	free(text);
	return sorted;
}

static void print_time(FILE *out, int64_t time_s)
{
	fprintf(out, time_s == STORE_NEVER_S ? " never" : " %" PRId64, time_s);
}

/* ---- of the shadow ---- */

static void print_filter(FILE *out, uint32_t filter)
{
	fprintf(out, filter % 2 ? "$share/g/%u" : "%u", filter);
}

static void print_shadow_queue(FILE *out, const struct shadow_session *session, const struct shadow_message *messages)
{
	for (uint32_t i = 0; i < session->queue_count; i++) {
		const struct shadow_entry *entry = &session->queue[i];
		fprintf(out, " entry %u %d %u %u ", entry->packet_id, entry->released, entry->flags, entry->identifier);
		if (entry->has_subscription)
			print_filter(out, entry->filter);
		if (entry->message == 0)
			continue;
		fprintf(out, " payload %u", messages[entry->message - 1].payload);
		print_time(out, messages[entry->message - 1].expires_at_s);
	}
}

static void print_shadow_session(FILE *out, const struct shadow_session *session, const struct shadow_message *messages)
{
	fprintf(out, "session c%u %d %u", session->client, session->connected, session->expiry_s);
	print_time(out, session->connected ? STORE_NEVER_S : session->ends_at_s);
	if (session->has_principal)
		fprintf(out, " user-%u", session->user);
	if (session->will != 0)
		fprintf(out, " will %u %u", messages[session->will - 1].payload, session->will_delay_s);
	for (uint32_t i = 0; i < session->subscription_count; i++) {
		const struct shadow_subscription *subscription = &session->subscriptions[i];
		fputs(" filter ", out);
		print_filter(out, subscription->filter);
		fprintf(out, " %u %u %u", subscription->identifier, subscription->options, subscription->owed);
	}
	print_shadow_queue(out, session, messages);
	fprintf(out, " last %u received", session->packet_id);
	for (uint32_t id = 1; id <= SHADOW_PACKET_IDS; id++)
		if (session->received[id - 1])
			fprintf(out, " %u", id);
	fputc('\n', out);
}

char *shadow_lines(const struct shadow_store *store)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	CHECK(out != NULL);
	for (uint32_t shard = 0; shard < SHADOW_SHARDS; shard++) {
		const struct shadow_message *messages = store->messages[shard];
		for (uint32_t i = 0; i < SHADOW_SESSIONS; i++)
			if (store->sessions[shard][i].used)
				print_shadow_session(out, &store->sessions[shard][i], messages);
		for (uint32_t i = 0; i < SHADOW_MESSAGES; i++) {
			for (uint32_t k = 0; messages[i].used && k < messages[i].promise_count; k++) {
				fprintf(out, "promised %u", messages[i].payload);
				print_time(out, messages[i].expires_at_s);
				fputc(' ', out);
				if (!messages[i].promises[k].is_will)
					print_filter(out, messages[i].promises[k].filter);
				fputc('\n', out);
			}
		}
	}
	for (uint32_t topic = 0; topic < SHADOW_TOPICS; topic++)
		if (store->retained[topic].payload != 0)
			fprintf(out, "retained topic-%u %u %" PRIu64 "\n", topic, store->retained[topic].payload,
				store->retained[topic].number);
	fclose(out);
	return sort_lines(text);
}

/* ---- of the model ---- */

static void print_slice(FILE *out, const char *before, struct slice text)
{
	fprintf(out, "%s%.*s", before, (int)text.size, (const char *)text.data);
}

static void print_payload(FILE *out, const char *before, const struct model_message *message, struct log_scene *log)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	uint8_t *packet;
	int error;
	struct disk_file *file = memory_disk_file(&log->memory, store_segment_name(message->place.segment, name));
	CHECK(file != NULL);
	CHECK(replay_read_body(&log->disk, file, message->place.offset, &message->publication, &packet, &error) ==
	      ERROR_OK);
	print_slice(out, before, publication_parts(&message->publication, packet).payload);
	free(packet);
}

static void print_model_session(FILE *out, const struct model_session *session, struct log_scene *log)
{
	print_slice(out, "session ", session->client_id);
	fprintf(out, " %d %u", session->connected, session->expiry_s);
	print_time(out, session->ends_at_s);
	if (session->has_principal)
		print_slice(out, " ", session->user);
	if (session->will != NULL) {
		print_payload(out, " will ", session->will, log);
		fprintf(out, " %u", session->will_delay_s);
	}
	for (const struct model_subscription *at = session->subscriptions; at != NULL; at = at->next) {
		print_slice(out, " filter ", at->filter);
		fprintf(out, " %u %u %u", at->identifier, at->options, at->owed);
	}
	uint32_t count = 0;
	for (const struct model_entry *at = session->queue; at != NULL; at = at->next, count++) {
		fprintf(out, " entry %u %d %u %u ", at->packet_id, at->released, at->flags, at->identifier);
		const struct model_subscription *subscription = session->subscriptions;
		for (uint32_t i = 1; i < at->subscription; i++)
			subscription = subscription->next;
		if (at->subscription != 0)
			print_slice(out, "", subscription->filter);
		if (at->message == NULL)
			continue;
		print_payload(out, " payload ", at->message, log);
		print_time(out, at->message->expires_at_s);
	}
	CHECK_EQ(count, session->queue_count);
	fprintf(out, " last %u received", session->packet_id);
	for (uint32_t i = 0; i < session->received_count; i++)
		fprintf(out, " %u", session->received[i]);
	fputc('\n', out);
}

char *shadow_model_lines(const struct model *model, struct log_scene *log)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	CHECK(out != NULL);
	for (const struct model_session *at = model->sessions; at != NULL; at = at->next)
		print_model_session(out, at, log);
	for (const struct model_promised *at = model->promised; at != NULL; at = at->next) {
		print_payload(out, "promised ", at->message, log);
		print_time(out, at->message->expires_at_s);
		print_slice(out, " ", at->filter);
		fputc('\n', out);
	}
	for (const struct model_retained *at = model->retained; at != NULL; at = at->next) {
		print_slice(out, "retained ", at->topic);
		print_slice(out, " ", publication_parts(&at->publication, at->packet).payload);
		fprintf(out, " %" PRIu64 "\n", at->number);
	}
	fclose(out);
	return sort_lines(text);
}
