#include "client/subscribe.h"

#include "client/presence.h"
#include "client/publish.h"
#include "client/review.h"
#include "deliver/origin/origin.h"
#include "deliver/outgoing.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/reason.h"
#include "mqtt/field/topic.h"
#include "route/retained_jobs.h"
#include "route/routing.h"
#include "state/client_state.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/shard.h"

#include <stdlib.h>

/* The body of a longer packet is not even checked in the turn in which it comes. */
#define BODY_AT_ONCE_BYTES 65536u
/* Filters whose encoding is checked before the share of work is looked at again, and filters that cost a unit. */
#define CHECKED_PER_STEP 512u
#define CHECKED_PER_UNIT 8u
_Static_assert(CHECKED_PER_STEP % CHECKED_PER_UNIT == 0, "a step costs whole units");
/* Bytes of a filter that cost a unit to hash, compare and copy. */
#define BYTES_PER_UNIT 64u
/* Memory of all jobs, above which a further long packet waits unchanged in the client's kept input. */
#define JOBS_BYTES_MAX ((size_t)64 << 20)
/* Work that one client's packet may do before the next one has its turn. */
#define JOB_UNITS 2500u

/* How far a packet has come. */
struct request {
	struct slice unchecked; /* filters whose encoding is not checked yet */
	struct slice filters;   /* filters that are still to be done */
	uint8_t *codes;         /* one for each of the filters; NULL until all are checked */
	uint32_t identifier;    /* the Subscription Identifier, 0: none */
	uint32_t count;         /* filters that are checked so far */
	uint32_t done;
	uint16_t packet_id;
	uint8_t type; /* MQTT_SUBSCRIBE, MQTT_UNSUBSCRIBE */
	bool told;    /* somebody hears of subscriptions; asked in each turn */
};

/* A request that goes on in later turns; on the heap. */
struct filter_job {
	struct filter_job *next;
	struct request request;
	struct client_ref client;
	uint32_t connection; /* the client's, by its generation */
	size_t filters_bytes;
	uint8_t bytes[]; /* the filters that were left to do */
};

/* ---- one filter ---- */

static uint8_t subscribe_code(enum error error, uint8_t qos)
{
	switch (error) {
	case ERROR_OK:
		return qos;
	case ERROR_LIMIT:
	case ERROR_NO_MEMORY:
	case ERROR_STORE_FULL:
		return MQTT_REASON_QUOTA_EXCEEDED;
	case ERROR_SUBSCRIBE_DENIED:
		return MQTT_REASON_NOT_AUTHORIZED;
	default:
		return MQTT_REASON_TOPIC_FILTER_INVALID;
	}
}

/* *topics: the filter itself; for a shared subscription, the part behind the share name [4.8.2]. */
static enum error check_filter(struct slice filter, struct slice *topics, bool *shared)
{
	struct slice group;
	enum error fault;
	*topics = filter;
	*shared = mqtt_filter_share(filter, &group, topics, &fault);
	if (*shared && fault != ERROR_OK)
		return fault;
	return mqtt_filter_check(*topics);
}

static void charge_filter(struct shard *shard, struct slice filter)
{
	uint64_t units = WORK_FILTER + filter.size / BYTES_PER_UNIT;
	if (mqtt_filter_has_wildcard(filter)) {
		for (size_t i = 0; i < filter.size; i++)
			units += filter.data[i] == '/' ? WORK_LEVEL : 0;
	}
	turn_work_charge(&shard->loop.work, units);
}

/* Whether the subscription gets retained messages [3.8.3.1]. A shared one never does [4.8.2]. */
static bool wants_retained(const struct mqtt_subscription *wanted, bool shared, bool replaced)
{
	return !shared && (wanted->retain_handling == 0 || (wanted->retain_handling == 1 && !replaced));
}

static enum error subscribe_one(struct shard *shard, struct client_ref ref, const struct mqtt_subscription *asked,
				uint32_t identifier)
{
	bool shared;
	struct slice topics;
	enum error error = check_filter(asked->filter, &topics, &shared);
	if (error != ERROR_OK)
		return error;
	if (!principal_may_subscribe(shard, shard_client(shard, ref), topics)) {
		review_refused(shard, ref, asked->filter);
		return ERROR_SUBSCRIBE_DENIED;
	}
	if (shard_client(shard, ref)->session.journaled && shard_store_is_full(shard)) {
		COUNT(&shard->counters, store_refused_subscriptions);
		return ERROR_STORE_FULL;
	}
	bool is_internal = client_is_internal(shard_client(shard, ref));
	if (is_internal && shared) /* an origin must not go on to another member */
		return ERROR_FILTER_SHARED;
	struct subscription_wanted wanted = {
		.filter = asked->filter,
		.takes_origin = is_internal && origins_take_if_internal(shard, ref),
		.identifier = identifier,
		.options = (uint8_t)(asked->qos | (asked->no_local ? SUBSCRIPTION_NO_LOCAL : 0) |
				     (asked->retain_as_published ? SUBSCRIPTION_RETAIN_AS_PUBLISHED : 0)),
	};
	struct subscription_made made;
	struct session *session = &shard_client(shard, ref)->session;
	error = subscriptions_add(&shard->sessions.subscriptions, session, ref, &wanted, &made);
	/* Roost's own clients get what is published from now on: nobody knows who published what is retained. */
	if (error != ERROR_OK || is_internal || !wants_retained(asked, shared, made.replaced))
		return error;
	error = retained_jobs_add(shard, ref, made.ref);
	if (error != ERROR_OK && !made.replaced)
		subscriptions_remove(&shard->sessions.subscriptions, session, ref, asked->filter);
	return error;
}

static uint8_t unsubscribe_one(struct shard *shard, struct client_ref ref, struct slice filter)
{
	bool shared;
	struct slice topics;
	struct client *client = shard_client(shard, ref);
	if (check_filter(filter, &topics, &shared) != ERROR_OK)
		return MQTT_REASON_TOPIC_FILTER_INVALID;
	struct subscription_ref ended =
		subscriptions_remove(&shard->sessions.subscriptions, &client->session, ref, filter);
	return !subscription_ref_is_none(ended) ? MQTT_REASON_SUCCESS : MQTT_REASON_NO_SUBSCRIPTION_EXISTED;
}

/* Codes before version 5 [3.9.3 of 3.1.1]. */
static uint8_t code_for(const struct client *client, uint8_t code)
{
	bool failed = code > MQTT_REASON_GRANTED_QOS_2;
	return failed && client->version != MQTT_VERSION_5 ? MQTT_REASON_UNSPECIFIED_ERROR : code;
}

static uint8_t subscribe_next(struct shard *shard, struct client_ref ref, struct request *request)
{
	struct client *client = shard_client(shard, ref);
	struct mqtt_subscription asked;
	CHECK(mqtt_subscribe_next(&request->filters, client->version, &asked));
	charge_filter(shard, asked.filter);
	/* One packet may not name more filters than a client may have, even repeated ones: that bounds the work. */
	bool within = request->done < shard->env.settings->client_subscriptions_max;
	enum error error = within ? subscribe_one(shard, ref, &asked, request->identifier) : ERROR_LIMIT;
	if (error == ERROR_SUBSCRIBE_DENIED)
		COUNT(&shard->counters, subscriptions_denied);
	if (error == ERROR_LIMIT)
		COUNT(&shard->counters, subscriptions_refused);
	if (error == ERROR_OK && request->told)
		presence_subscribed(shard, client, asked.filter, asked.qos);
	return code_for(client, subscribe_code(error, asked.qos));
}

static uint8_t unsubscribe_next(struct shard *shard, struct client_ref ref, struct request *request)
{
	struct slice filter;
	CHECK(mqtt_unsubscribe_next(&request->filters, &filter));
	charge_filter(shard, filter);
	uint8_t code = unsubscribe_one(shard, ref, filter);
	if (code == MQTT_REASON_SUCCESS && request->told)
		presence_unsubscribed(shard, shard_client(shard, ref), filter, ERROR_OK);
	return code;
}

/* ---- a packet ---- */

static enum error subscribe_begin(const struct packet *packet, uint8_t version, struct request *request)
{
	*request = (struct request){.type = packet->header.type};
	if (packet->header.type == MQTT_SUBSCRIBE) {
		struct mqtt_subscribe subscribe;
		enum error error = mqtt_subscribe_decode_head(packet->body, version, &subscribe);
		request->packet_id = subscribe.packet_id;
		request->identifier = subscribe.identifier;
		request->unchecked = request->filters = subscribe.filters;
		return error;
	}
	struct mqtt_unsubscribe unsubscribe;
	enum error error = mqtt_unsubscribe_decode_head(packet->body, version, &unsubscribe);
	request->packet_id = unsubscribe.packet_id;
	request->unchecked = request->filters = unsubscribe.filters;
	return error;
}

/* Nothing is done before the whole packet is known to be well-formed. ERROR_MORE: the work was spent first. */
static enum error subscribe_check(struct shard *shard, uint8_t version, struct request *request, uint64_t until)
{
	while (request->unchecked.size != 0) {
		if (turn_work_is_spent(&shard->loop.work, until))
			return ERROR_MORE;
		size_t before = request->unchecked.size;
		enum error error =
			request->type == MQTT_SUBSCRIBE
				? mqtt_subscribe_check(&request->unchecked, version, CHECKED_PER_STEP, &request->count)
				: mqtt_unsubscribe_check(&request->unchecked, CHECKED_PER_STEP, &request->count);
		if (error != ERROR_OK)
			return error;
		turn_work_charge(&shard->loop.work, CHECKED_PER_STEP / CHECKED_PER_UNIT +
							    (before - request->unchecked.size) / BYTES_PER_UNIT);
	}
	return ERROR_OK;
}

/* Whether another filter is handled in this turn. One that somebody is told of waits while many events wait already:
 * each of them is in memory. */
static bool takes_filter(const struct shard *shard, const struct request *request, uint64_t until)
{
	return request->done < request->count && !turn_work_is_spent(&shard->loop.work, until) &&
	       !(request->told && routings_own_are_many(&shard->routing.routings));
}

/* Handles filters of a request that is checked. False: the work was spent first. */
static bool subscribe_go_on(struct shard *shard, struct client_ref ref, struct request *request, uint64_t until)
{
	CHECK(request->codes != NULL && request->unchecked.size == 0);
	request->told = presence_of_subscriptions(shard);
	while (takes_filter(shard, request, until)) {
		uint64_t looks = shard->sessions.subscriptions.looks;
		request->codes[request->done] = request->type == MQTT_SUBSCRIBE ? subscribe_next(shard, ref, request)
										: unsubscribe_next(shard, ref, request);
		request->done++;
		turn_work_charge(&shard->loop.work, (shard->sessions.subscriptions.looks - looks) * WORK_NODE);
	}
	return request->done == request->count;
}

/* Sends SUBACK or UNSUBACK; writes it at once if the turn's scratch has no room for it. */
static enum error subscribe_answer(struct shard *shard, struct client_ref ref, const struct request *request)
{
	struct client *client = shard_client(shard, ref);
	CHECK_EQ(request->done, request->count);
	size_t room = (size_t)request->count + 16;
	uint8_t *own = NULL;
	uint8_t *at = io_scratch(&shard->mem.io, room);
	if (at == NULL)
		at = own = malloc(room);
	if (at == NULL)
		return ERROR_NO_MEMORY;
	uint8_t type = request->type == MQTT_SUBSCRIBE ? MQTT_SUBACK : MQTT_UNSUBACK;
	size_t size =
		mqtt_suback_encode(request->packet_id, request->codes, request->count, type, client->version, at, room);
	/* A packet above the client's Maximum Packet Size may not be sent [MQTT-3.1.2-24]. */
	enum error error = size != 0 && extension_take_packet(shard, client, size) ? ERROR_OK : ERROR_PACKET_TOO_LARGE;
	if (error == ERROR_OK && client->session.journaled)
		error = outgoing_hold(shard, ref, false);
	if (error == ERROR_OK)
		io_send(&shard->mem.io, &client->conn, slice_of(at, size));
	if (own != NULL) {
		io_flush_conn(&shard->mem.io, &client->conn);
		free(own);
	}
	return error;
}

/* ---- later turns ---- */

static void subscribe_file_job(struct shard *shard, struct filter_job *job)
{
	job->next = NULL;
	*shard->sessions.filter_jobs_end = job;
	shard->sessions.filter_jobs_end = &job->next;
}

static size_t job_bytes(const struct filter_job *job)
{
	return sizeof(*job) + job->filters_bytes + (job->request.codes != NULL ? job->request.count : 0);
}

static void subscribe_job_free(struct shard *shard, struct filter_job *job)
{
	CHECK_GE(shard->sessions.filter_jobs_bytes, job_bytes(job));
	shard->sessions.filter_jobs_bytes -= job_bytes(job);
	free(job->request.codes);
	free(job);
}

/* Moves the filters, and the codes, to the heap, to go on in later turns. */
static enum error subscribe_put_off(struct shard *shard, struct client_ref ref, const struct request *request)
{
	struct client *client = shard_client(shard, ref);
	struct slice filters = request->filters;
	CHECK_LE(request->unchecked.size, filters.size);
	struct filter_job *job = malloc(sizeof(*job) + filters.size);
	uint8_t *codes = request->codes != NULL ? malloc(request->count) : NULL;
	if (job == NULL || (request->codes != NULL && codes == NULL)) {
		free(job);
		free(codes);
		return ERROR_NO_MEMORY;
	}
	*job = (struct filter_job){.request = *request,
				   .client = ref,
				   .connection = client->conn.generation,
				   .filters_bytes = filters.size};
	memcpy(job->bytes, filters.data, filters.size);
	if (codes != NULL)
		memcpy(codes, request->codes, request->done);
	size_t checked = filters.size - request->unchecked.size;
	job->request.codes = codes;
	job->request.filters = slice_of(job->bytes, filters.size);
	job->request.unchecked = slice_of(job->bytes + checked, request->unchecked.size);
	shard->sessions.filter_jobs_bytes += job_bytes(job);
	client_pause(client, PAUSE_FILTERS);
	subscribe_file_job(shard, job);
	COUNT(&shard->counters, filter_pauses);
	return ERROR_OK;
}

enum error client_subscribes(struct shard *shard, struct client_ref ref, const struct packet *packet)
{
	struct client *client = shard_client(shard, ref);
	struct request request;
	bool is_long = packet->body.size > BODY_AT_ONCE_BYTES;
	if (is_long && shard->sessions.filter_jobs_bytes > JOBS_BYTES_MAX)
		return ERROR_MORE; /* the client is asked again after a while */
	enum error error = subscribe_begin(packet, client->version, &request);
	if (error != ERROR_OK)
		return error;
	if (is_long)
		return subscribe_put_off(shard, ref, &request);
	error = subscribe_check(shard, client->version, &request, UINT64_MAX);
	if (error != ERROR_OK)
		return error;
	request.codes = io_scratch(&shard->mem.io, request.count);
	if (request.codes != NULL && subscribe_go_on(shard, ref, &request, shard->loop.work.packets_until))
		return subscribe_answer(shard, ref, &request);
	return subscribe_put_off(shard, ref, &request);
}

/* ERROR_MORE: it is not done yet. */
static enum error subscribe_run(struct shard *shard, struct filter_job *job, uint64_t until)
{
	struct request *request = &job->request;
	struct client *client = shard_client(shard, job->client);
	enum error error = subscribe_check(shard, client->version, request, until);
	if (error != ERROR_OK)
		return error;
	if (request->codes == NULL) {
		request->codes = malloc(request->count);
		if (request->codes == NULL)
			return ERROR_NO_MEMORY;
		shard->sessions.filter_jobs_bytes += request->count;
	}
	if (!subscribe_go_on(shard, job->client, request, until))
		return ERROR_MORE;
	return subscribe_answer(shard, job->client, request);
}

/* Does the packet's share of this turn. True: the job is over. */
static bool run_as_step(struct shard *shard, struct filter_job *job)
{
	const struct client *client = shard_client(shard, job->client);
	if (client->conn.generation != job->connection || !client_is_connected(client))
		return true;
	turn_work_step_begin(&shard->loop.work);
	enum error error = subscribe_run(shard, job, turn_work_share(&shard->loop.work, JOB_UNITS));
	turn_work_step_end(&shard->loop.work, &shard->counters);
	if (error == ERROR_MORE)
		return false;
	if (error == ERROR_OK)
		client_resume(shard, job->client, PAUSE_FILTERS);
	else
		client_end(shard, job->client, error);
	return true;
}

static struct filter_job *subscribe_take_first(struct shard *shard)
{
	struct filter_job *job = shard->sessions.filter_jobs;
	CHECK(job != NULL);
	shard->sessions.filter_jobs = job->next;
	if (job->next == NULL)
		shard->sessions.filter_jobs_end = &shard->sessions.filter_jobs;
	return job;
}

void filter_jobs_run(struct shard *shard)
{
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_FILTERS);
	while (shard->sessions.filter_jobs != NULL && !turn_work_is_spent(&shard->loop.work, until)) {
		struct filter_job *job = subscribe_take_first(shard);
		turn_work_charge(&shard->loop.work, WORK_PACKET);
		if (run_as_step(shard, job))
			subscribe_job_free(shard, job);
		else
			subscribe_file_job(shard, job); /* behind the others */
	}
}

void filter_jobs_fini(struct shard *shard)
{
	while (shard->sessions.filter_jobs != NULL)
		subscribe_job_free(shard, subscribe_take_first(shard));
	CHECK_EQ(shard->sessions.filter_jobs_bytes, 0);
}
