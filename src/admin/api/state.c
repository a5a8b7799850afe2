#include "admin/api/handlers.h"

#include "admin/api/assets.h"
#include "admin/metrics/metrics.h"
#include "base/check.h"
#include "base/clock.h"
#include "nodes/nodes.h"

#include <stdlib.h>
#include <string.h>

/* A shard sleeps for at most one second, so one without a turn for this long is stuck. */
#define STALL_MS 10000u

#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

void serve_page(struct request *request)
{
	request_answer_static(request, "text/html; charset=utf-8", ASSET_PAGE, ASSET_PAGE_BYTES);
	request->policy = ASSET_PAGE_POLICY;
}

void serve_openapi(struct request *request)
{
	request_answer_static(request, "application/json; charset=utf-8", ASSET_OPENAPI, ASSET_OPENAPI_BYTES);
}

/* Returns false after answering which shard is stuck. */
static bool shards_turn(struct request *request)
{
	int stalled = snapshot_stalled_shard(request->api->gateway, clock_now_ms(), STALL_MS);
	CHECK(stalled < gateway_parts(request->api->gateway).shard_count);
	if (stalled >= 0)
		request_fail(request, HTTP_UNAVAILABLE, "shard %d has taken no turn for more than %u seconds", stalled,
			     STALL_MS / 1000);
	return stalled < 0;
}

void state_fail_starting(struct request *request)
{
	uint32_t percent = atomic_load(&request->api->recovery_percent);
	if (percent == 0)
		request_fail(request, HTTP_UNAVAILABLE, "starting");
	else
		request_fail(request, HTTP_UNAVAILABLE, "recovering, %u %%", percent);
}

void serve_health(struct request *request)
{
	struct api *api = request->api;
	if (atomic_load(&api->starting) || atomic_load(&api->draining) || shards_turn(request))
		request_answer(request, HTTP_OK, json_pack("{s:s}", "status", "healthy"));
}

/* A store that cannot take messages is no reason to send clients elsewhere: QoS 0 and what waits for them goes on. */
static json_t *json_of_readiness(const struct request *request)
{
	json_t *answer = json_pack("{s:s}", "status", "ready");
	struct store_figures store;
	if (gateway_store_figures(request->api->gateway, &store))
		json_object_set_new(answer, "store", json_string(store_state_name(store.state)));
	return answer;
}

/* A node that was away has to hear first what became of retained messages meanwhile. */
static bool has_caught_up(const struct request *request)
{
	struct nodes *nodes = request->api->hooks.nodes;
	struct nodes_status *status = nodes != NULL ? calloc(1, sizeof(*status)) : NULL;
	if (status == NULL)
		return true;
	nodes_status(nodes, status);
	bool caught_up = status->is_caught_up;
	free(status);
	return caught_up;
}

void serve_readiness(struct request *request)
{
	if (atomic_load(&request->api->draining))
		request_fail(request, HTTP_UNAVAILABLE, "%s", error_sentence(ERROR_SERVER_STOPPING));
	else if (atomic_load(&request->api->starting))
		state_fail_starting(request);
	else if (gateway_settings(request->api->gateway)->drain.number != 0) /* before any client is ended */
		request_fail(request, HTTP_UNAVAILABLE, "%s", error_sentence(ERROR_DRAINED));
	else if (!has_caught_up(request))
		request_fail(request, HTTP_UNAVAILABLE, "it is catching up with the other nodes of the cluster");
	else if (shards_turn(request))
		request_answer(request, HTTP_OK, json_of_readiness(request));
}

static bool accepts_openmetrics(const struct request *request)
{
	static const char TYPE[] = "application/openmetrics-text";
	struct slice accept = request->accept;
	return accept.size != 0 && memmem(accept.data, accept.size, TYPE, sizeof(TYPE) - 1) != NULL;
}

void serve_metrics(struct request *request)
{
	struct exposition exposition;
	struct snapshot snapshot;
	bool openmetrics = accepts_openmetrics(request);
	if (!exposition_begin(&exposition, openmetrics)) {
		request_check(request, ERROR_NO_MEMORY, "");
		return;
	}
	snapshot_take(&snapshot, request->api->gateway, &request->api->counts);
	if (request->api->hooks.rules != NULL)
		request->api->hooks.rules(request->api->hooks.context, &snapshot.rules);
	if (request->api->hooks.presence_table != NULL)
		request->api->hooks.presence_table(request->api->hooks.context, &snapshot.table);
	if (request->api->hooks.consumers != NULL)
		request->api->hooks.consumers(request->api->hooks.context, &snapshot.consumers);
	if (request->api->hooks.hooks != NULL)
		request->api->hooks.hooks(request->api->hooks.context, &snapshot.hooks);
	nodes_status(request->api->hooks.nodes, &snapshot.nodes);
	if (request->api->hooks.bridges != NULL)
		request->api->hooks.bridges(request->api->hooks.context, &snapshot.bridges);
	metrics_write(&exposition, &snapshot);
	if (exposition_end(&exposition))
		request_answer_text(request, openmetrics ? OPENMETRICS_TYPE : PROMETHEUS_TYPE, exposition.text,
				    exposition.size);
	else
		request_check(request, ERROR_NO_MEMORY, "");
}

/* The lines of the report as a JSON array. */
static json_t *json_of_lines(char *report)
{
	json_t *lines = json_array();
	char *rest = NULL;
	for (char *line = strtok_r(report, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		json_array_append_new(lines, json_string(line));
	return lines;
}

void serve_reload(struct request *request)
{
	const struct admin_hooks *hooks = &request->api->hooks;
	char *report = NULL;
	size_t size = 0;
	FILE *out = hooks->reload != NULL ? open_memstream(&report, &size) : NULL;
	if (out == NULL) {
		request_fail(request, HTTP_SERVER_ERROR, "the configuration cannot be read again");
		return;
	}
	bool done = hooks->reload(hooks->context, out);
	fclose(out);
	if (done)
		request_answer(request, HTTP_OK, json_pack("{s:o}", "changed", json_of_lines(report)));
	else
		request_fail(request, HTTP_BAD_REQUEST, "%.*s", (int)strcspn(report, "\n"), report);
	free(report);
}
