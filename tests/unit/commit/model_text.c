#include "model_text.h"

#include "base/check.h"
#include "toy_shard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lines {
	char *line[4096];
	size_t count;
};

static int compare_lines(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Sorts the lines, joins and frees them. */
static char *join_lines(struct lines *lines, const char *between)
{
	qsort(lines->line, lines->count, sizeof(lines->line[0]), compare_lines);
	size_t size = 1;
	for (size_t i = 0; i < lines->count; i++)
		size += strlen(lines->line[i]) + strlen(between);
	char *text = malloc(size);
	char *at = text;
	*at = '\0';
	for (size_t i = 0; i < lines->count; i++) {
		at = stpcpy(stpcpy(at, lines->line[i]), between);
		free(lines->line[i]);
	}
	return text;
}

static FILE *new_line(struct lines *lines, size_t *size)
{
	CHECK(lines->count < sizeof(lines->line) / sizeof(lines->line[0]));
	FILE *out = open_memstream(&lines->line[lines->count++], size);
	CHECK(out != NULL);
	return out;
}

static char *subscriptions_text(const struct model_session *session)
{
	struct lines lines = {.count = 0};
	size_t size;
	for (const struct model_subscription *at = session->subscriptions; at != NULL; at = at->next) {
		FILE *out = new_line(&lines, &size);
		fprintf(out, "%.*s/%u/%u/%u", (int)at->filter.size, (const char *)at->filter.data, at->identifier,
			at->options, at->owed);
		fclose(out);
	}
	return join_lines(&lines, " ");
}

static struct slice filter_at(const struct model_session *session, uint32_t place)
{
	const struct model_subscription *at = session->subscriptions;
	for (; at != NULL && place > 1; place--)
		at = at->next;
	return place != 0 && at != NULL ? at->filter : slice_of("", 0);
}

static void session_text(FILE *out, const struct model_session *session, bool numbered, model_text_body body,
			 void *context)
{
	fprintf(out, "session %.*s user %.*s %" PRIu64 " connected %d expiry %u ends %" PRId64 " will at %" PRId64,
		(int)session->client_id.size, (const char *)session->client_id.data, (int)session->user.size,
		(const char *)session->user.data, session->user_hash, session->connected, session->expiry_s,
		session->ends_at_s, session->will_at_s);
	if (numbered)
		fprintf(out, " number %u", session->packet_id);
	if (session->will != NULL)
		fprintf(out, " will %x %u %" PRId64, body(context, session->will), session->will_delay_s,
			session->will->expires_at_s);
	char *subscriptions = subscriptions_text(session);
	fprintf(out, " subscriptions %s", subscriptions);
	free(subscriptions);
	fprintf(out, "queue");
	for (const struct model_entry *at = session->queue; at != NULL; at = at->next) {
		struct slice filter = filter_at(session, at->subscription);
		fprintf(out, " %x/%u/%u/%u/%d/%.*s", at->message != NULL ? body(context, at->message) : 0,
			at->identifier, at->packet_id, at->flags, at->released, (int)filter.size,
			(const char *)filter.data);
	}
	fprintf(out, " received");
	for (uint32_t i = 0; i < session->received_count; i++)
		fprintf(out, " %u", session->received[i]);
}

char *model_text(const struct model *model, bool numbered, model_text_body body, void *context)
{
	struct lines lines = {.count = 0};
	size_t size;
	for (const struct model_session *at = model->sessions; at != NULL; at = at->next) {
		FILE *out = new_line(&lines, &size);
		session_text(out, at, numbered, body, context);
		fclose(out);
	}
	for (const struct model_retained *at = model->retained; at != NULL; at = at->next) {
		FILE *out = new_line(&lines, &size);
		fprintf(out, "retained %.*s %" PRIu64 " %x", (int)at->topic.size, (const char *)at->topic.data,
			at->number, toy_body(at->packet, &at->publication));
		fclose(out);
	}
	for (const struct model_promised *at = model->promised; at != NULL; at = at->next) {
		FILE *out = new_line(&lines, &size);
		fprintf(out, "promised %.*s %x", (int)at->filter.size, (const char *)at->filter.data,
			body(context, at->message));
		fclose(out);
	}
	return join_lines(&lines, "\n");
}
