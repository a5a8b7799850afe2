#include "admin/api/handlers.h"

#include "admin/api/message.h"
#include "base/check.h"
#include "runtime/command.h"
#include "shard/command_publish.h"
#include "state/shard.h"

#include <stdlib.h>

#define BATCH_MESSAGES_MAX 1000u

/* All messages of the API go through one shard, which keeps them in order. */
#define PUBLISHING_SHARD 0u

/* Sends the messages in several commands, each small enough for one turn of the shard. Sets *published to how many were
 * published. */
static enum error publish_all(struct api *api, const struct command_message *messages, uint32_t count,
			      uint32_t *published)
{
	struct gateway_parts parts = gateway_parts(api->gateway);
	*published = 0;
	while (*published < count) {
		struct command_publish publish = {.messages = messages + *published};
		size_t bytes = 0;
		while (publish.count < COMMAND_MESSAGES_MAX && *published + publish.count < count &&
		       (bytes == 0 || bytes < COMMAND_MESSAGE_BYTES_MAX))
			bytes += publish.messages[publish.count++].publication.packet_bytes;
		struct command command = {.kind = COMMAND_PUBLISH, .publish = &publish};
		enum error error = command_do(&command, &parts.shards[PUBLISHING_SHARD].shared.commands,
					      &parts.mailboxes[PUBLISHING_SHARD].waker, COMMAND_TIMEOUT_MS);
		CHECK(publish.published <= publish.count);
		CHECK(error != ERROR_OK ||
		      publish.published == publish.count); /* a shard that published less has failed; without this the
							      loop would not end */
		*published += publish.published;
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

static void answer_published(struct request *request, enum error error, uint32_t published)
{
	if (error == ERROR_OK)
		request_answer(request, HTTP_OK, json_pack("{s:I}", "published", (json_int_t)published));
	else
		request_answer(request, HTTP_UNAVAILABLE,
			       json_pack("{s:s, s:I}", "error",
					 error == ERROR_MORE || error == ERROR_LIMIT || error == ERROR_TIMEOUT
						 ? "the gateway is busy; try again with the messages that are left"
						 : error_sentence(error),
					 "published", (json_int_t)published));
}

static uint32_t packet_limit(const struct request *request)
{
	return gateway_parts(request->api->gateway).packet_bytes_max;
}

void serve_publish(struct request *request)
{
	char fault[MESSAGE_FAULT_BYTES_MAX];
	struct command_message message;
	json_t *json = request_object(request);
	if (json == NULL)
		return;
	bool good = message_read(json, packet_limit(request), &message, fault);
	json_decref(json);
	if (!good) {
		request_fail(request, HTTP_BAD_REQUEST, "%s", fault);
		return;
	}
	uint32_t published;
	enum error error = publish_all(request->api, &message, 1, &published);
	answer_published(request, error, published);
	message_free(&message);
}

/* Returns how many messages were read. If that is fewer than the list has, *fault says what is wrong with the next one.
 */
static size_t read_messages(const struct request *request, const json_t *list, struct command_message *messages,
			    char fault[MESSAGE_FAULT_BYTES_MAX])
{
	size_t count = json_array_size(list);
	for (size_t i = 0; i < count; i++) {
		if (!message_read(json_array_get(list, i), packet_limit(request), &messages[i], fault))
			return i;
	}
	return count;
}

static void publish_list(struct request *request, const json_t *list)
{
	char fault[MESSAGE_FAULT_BYTES_MAX];
	size_t count = json_array_size(list);
	struct command_message *messages = calloc(count + 1, sizeof(*messages));
	if (messages == NULL) {
		request_check(request, ERROR_NO_MEMORY, "");
		return;
	}
	size_t good = read_messages(request, list, messages, fault);
	if (good == count) {
		uint32_t published;
		enum error error = publish_all(request->api, messages, (uint32_t)count, &published);
		answer_published(request, error, published);
	} else {
		request_fail(request, HTTP_BAD_REQUEST, "messages[%zu]: %s; none was published", good, fault);
	}
	CHECK(good <= count);
	for (size_t i = 0; i < good; i++)
		message_free(&messages[i]);
	free(messages);
}

void serve_publish_batch(struct request *request)
{
	json_t *json = request_object(request);
	if (json == NULL)
		return;
	const json_t *list = json_object_get(json, "messages");
	if (!json_is_array(list) || json_object_size(json) != 1)
		request_fail(request, HTTP_BAD_REQUEST, "the body is to be {\"messages\": [...]} and nothing else");
	else if (json_array_size(list) > BATCH_MESSAGES_MAX)
		request_fail(request, HTTP_BAD_REQUEST, "there are more than %u messages", BATCH_MESSAGES_MAX);
	else
		publish_list(request, list);
	json_decref(json);
}
