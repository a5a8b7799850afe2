#include "admin/clients/elsewhere.h"

#include "control/gateway.h"
#include "nodes/nodes.h"

#include <stdlib.h>
#include <string.h>

#define CURSOR_MARK '@'
#define CURSOR_END ':'
#define ELSEWHERE_TIMEOUT_MS (COMMAND_TIMEOUT_MS + 1000u)
_Static_assert(HTTP_NOT_FOUND == 404, "the number on the wire");

bool elsewhere_is_asked(const struct request *request)
{
	return request->api->hooks.nodes != NULL && !request->from_node;
}

/* ---- one client ---- */

static bool elsewhere_pass_on(struct request *request, const struct nodes_answer *answer)
{
	json_t *json = answer->body != NULL ? json_loadb(answer->body, answer->bytes, 0, NULL) : NULL;
	if (json == NULL)
		return false;
	if (json_is_object(json))
		json_object_set_new(json, "node", json_string(answer->node));
	request_answer(request, answer->status, json);
	return true;
}

bool elsewhere_answer(struct request *request)
{
	struct nodes_answers *answers = calloc(1, sizeof(*answers));
	bool answered = false;
	if (answers != NULL &&
	    nodes_ask(request->api->hooks.nodes, NULL, request->line, ELSEWHERE_TIMEOUT_MS, answers)) {
		for (uint32_t i = 0; i < answers->count && !answered; i++) {
			const struct nodes_answer *answer = &answers->items[i];
			if (answer->status >= 200 && answer->status < 300)
				answered = elsewhere_pass_on(request, answer);
		}
		nodes_answers_free(answers);
	}
	free(answers);
	return answered;
}

/* ---- lists ---- */

bool elsewhere_is_cursor(struct slice cursor)
{
	return cursor.size > 1 && cursor.data[0] == CURSOR_MARK;
}

static bool may_be_asked(const struct peer_status *peer)
{
	return peer->state == PEER_ALIVE;
}

json_t *elsewhere_next(const struct request *request, const char *node)
{
	const char *next = NULL;
	struct nodes_status *status = calloc(1, sizeof(*status));
	struct slice asked;
	bool one_alone = target_query(&request->target, "node", &asked);
	if (status == NULL || one_alone || !elsewhere_is_asked(request)) {
		free(status);
		return json_null();
	}
	nodes_status(request->api->hooks.nodes, status);
	for (uint32_t i = 0; i < status->peer_count; i++) {
		const struct peer_status *peer = &status->peers[i];
		if (may_be_asked(peer) && (node == NULL || strcmp(peer->name, node) > 0) &&
		    (next == NULL || strcmp(peer->name, next) < 0))
			next = peer->name;
	}
	json_t *json = next != NULL ? json_sprintf("%c%s", CURSOR_MARK, next) : json_null();
	free(status);
	return json;
}

/* The cursor's two parts. False: it is none. */
static bool split_cursor(struct slice cursor, char node[CLUSTER_NAME_BYTES_MAX], struct slice *rest)
{
	const uint8_t *name = cursor.data + 1;
	size_t left = cursor.size - 1;
	const uint8_t *end = memchr(name, CURSOR_END, left);
	size_t size = end != NULL ? (size_t)(end - name) : left;
	if (size == 0 || size >= CLUSTER_NAME_BYTES_MAX)
		return false;
	memcpy(node, name, size);
	node[size] = '\0';
	*rest = end != NULL ? slice_of(end + 1, left - size - 1) : slice_of(NULL, 0);
	return true;
}

static bool is_unreserved(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
	       byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

static void print_value(struct slice value, FILE *out)
{
	for (size_t i = 0; i < value.size; i++) {
		if (is_unreserved(value.data[i]))
			fputc(value.data[i], out);
		else
			fprintf(out, "%%%02X", value.data[i]);
	}
}

/* The same question with the other node's own cursor. */
static char *question_of(const struct request *request, struct slice rest)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (out == NULL)
		return NULL;
	fputs("GET /api/v1/clients", out);
	char between = '?';
	for (uint32_t i = 0; i < request->target.query_count; i++) {
		const struct target_query *query = &request->target.queries[i];
		if (slice_equal(query->name, slice_string("cursor")) || slice_equal(query->name, slice_string("node")))
			continue;
		fputc(between, out);
		print_value(query->name, out);
		fputc('=', out);
		print_value(query->value, out);
		between = '&';
	}
	if (rest.size != 0) {
		fprintf(out, "%ccursor=", between);
		print_value(rest, out);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static void name_node(json_t *page, const char *node)
{
	size_t i;
	json_t *client;
	json_array_foreach(json_object_get(page, "clients"), i, client)
		json_object_set_new(client, "node", json_string(node));
}

/* Answers with the other node's page, whose cursor becomes one of ours. */
static void answer_page(struct request *request, const struct nodes_answer *answer)
{
	json_t *page = answer->body != NULL ? json_loadb(answer->body, answer->bytes, 0, NULL) : NULL;
	if (answer->status != HTTP_OK || !json_is_object(page)) {
		if (page != NULL && answer->status >= 400)
			request_answer(request, answer->status, json_incref(page));
		else
			request_fail(request, HTTP_UNAVAILABLE, "node %s did not answer; try again", answer->node);
		json_decref(page);
		return;
	}
	const char *next = json_string_value(json_object_get(page, "next"));
	json_t *cursor = next != NULL ? json_sprintf("%c%s%c%s", CURSOR_MARK, answer->node, CURSOR_END, next)
				      : elsewhere_next(request, answer->node);
	name_node(page, answer->node);
	json_object_set_new(page, "next", cursor);
	request_answer(request, HTTP_OK, page);
}

static void ask_for_page(struct request *request, const char *node, struct slice rest)
{
	char *question = question_of(request, rest);
	struct nodes_answers *answers = calloc(1, sizeof(*answers));
	if (question == NULL || answers == NULL)
		request_check(request, ERROR_NO_MEMORY, "");
	else if (!nodes_ask(request->api->hooks.nodes, node, slice_string(question), ELSEWHERE_TIMEOUT_MS, answers))
		request_fail(request, HTTP_UNAVAILABLE, "node %s is not there", node);
	else
		answer_page(request, &answers->items[0]);
	if (answers != NULL)
		nodes_answers_free(answers);
	free(answers);
	free(question);
}

/* The node that the query `node` asks for, as a cursor. False: it asks for none, or for this one. */
static bool asks_for_node(const struct request *request, char node[CLUSTER_NAME_BYTES_MAX])
{
	struct slice asked;
	if (!target_query(&request->target, "node", &asked) || asked.size >= CLUSTER_NAME_BYTES_MAX ||
	    slice_equal(asked, slice_string(gateway_settings(request->api->gateway)->node)))
		return false;
	memcpy(node, asked.data, asked.size);
	node[asked.size] = '\0';
	return true;
}

bool elsewhere_list(struct request *request)
{
	char node[CLUSTER_NAME_BYTES_MAX];
	struct slice cursor;
	struct slice rest = slice_of(NULL, 0);
	if (!elsewhere_is_asked(request))
		return false;
	bool has_cursor = target_query(&request->target, "cursor", &cursor) && elsewhere_is_cursor(cursor);
	if (!has_cursor && !asks_for_node(request, node))
		return false;
	if (has_cursor && !split_cursor(cursor, node, &rest))
		request_fail(request, HTTP_BAD_REQUEST, "query cursor: it names no node");
	else
		ask_for_page(request, node, rest);
	return true;
}
