#include "admin/api/route_table.h"

#include "admin/api/handlers.h"
#include "base/check.h"

#include <string.h>

#define API "/api/v1"

const struct route ROUTES[] = {
	{METHOD_GET, "/", ROUTE_IS_OPEN, serve_page},
	{METHOD_GET, "/health", ROUTE_IS_OPEN, serve_health},
	{METHOD_GET, "/ready", ROUTE_IS_OPEN, serve_readiness},
	{METHOD_GET, "/metrics", ROUTE_IS_METRICS, serve_metrics},
	{METHOD_GET, API "/openapi.json", ROUTE_IS_OPEN, serve_openapi},
	{METHOD_GET, API "/stats", ROUTE_NEEDS_TOKEN, serve_stats},
	{METHOD_GET, API "/clients", ROUTE_NEEDS_TOKEN, serve_clients},
	{METHOD_GET, API "/clients/{id}", ROUTE_NEEDS_TOKEN, serve_client},
	{METHOD_DELETE, API "/clients/{id}", ROUTE_NEEDS_TOKEN, serve_end_session},
	{METHOD_POST, API "/clients/{id}/disconnect", ROUTE_NEEDS_TOKEN, serve_disconnect},
	{METHOD_GET, API "/nodes", ROUTE_NEEDS_TOKEN, serve_nodes},
	{METHOD_DELETE, API "/nodes/{id}", ROUTE_NEEDS_TOKEN, serve_forget},
	{METHOD_POST, API "/publish", ROUTE_NEEDS_TOKEN, serve_publish},
	{METHOD_POST, API "/publish/batch", ROUTE_NEEDS_TOKEN, serve_publish_batch},
	{METHOD_GET, API "/revocations", ROUTE_NEEDS_TOKEN, serve_revocations},
	{METHOD_POST, API "/revocations", ROUTE_NEEDS_TOKEN, serve_revoke},
	{METHOD_DELETE, API "/revocations/{id}", ROUTE_NEEDS_TOKEN, serve_lift},
	{METHOD_GET, API "/rules", ROUTE_NEEDS_TOKEN, serve_rules},
	{METHOD_GET, API "/presence-table", ROUTE_NEEDS_TOKEN, serve_presence_table},
	{METHOD_GET, API "/consumers", ROUTE_NEEDS_TOKEN, serve_consumers},
	{METHOD_GET, API "/hooks", ROUTE_NEEDS_TOKEN, serve_hooks},
	{METHOD_GET, API "/bridges", ROUTE_NEEDS_TOKEN, serve_bridges},
	{METHOD_POST, API "/reload", ROUTE_NEEDS_TOKEN, serve_reload},
	{METHOD_GET, API "/drain", ROUTE_NEEDS_TOKEN, serve_drain_state},
	{METHOD_POST, API "/drain", ROUTE_NEEDS_TOKEN, serve_drain},
	{METHOD_DELETE, API "/drain", ROUTE_NEEDS_TOKEN, serve_undrain},
	{METHOD_GET, API "/upgrade", ROUTE_NEEDS_TOKEN, serve_upgrade_state},
	{METHOD_POST, API "/upgrade", ROUTE_NEEDS_TOKEN, serve_upgrade},
};

const size_t ROUTE_COUNT = sizeof(ROUTES) / sizeof(ROUTES[0]);

static const char *const NAMES[METHOD_COUNT] = {"GET", "POST", "DELETE"};

_Static_assert(METHOD_COUNT <= 32, "a path's methods are bits of 32");
_Static_assert(sizeof(ROUTES) / sizeof(ROUTES[0]) < 64, "a request is compared with each of them");

const char *method_name(enum method method)
{
	CHECK(method < METHOD_COUNT);
	return NAMES[method];
}

enum method method_of(struct slice name)
{
	if (slice_equal(name, slice_string("HEAD")))
		return METHOD_GET;
	for (int i = 0; i < METHOD_COUNT; i++) {
		if (slice_equal(name, slice_string(NAMES[i])))
			return (enum method)i;
	}
	return METHOD_COUNT;
}

static bool path_matches(const char *path, const struct target *target, struct slice *id)
{
	uint32_t segment = 0;
	CHECK(*path == '/'); /* every path of the table begins with a slash */
	CHECK(target->segment_count <= TARGET_SEGMENTS_MAX);
	while (*path == '/' && path[1] != '\0') {
		path++;
		size_t size = strcspn(path, "/");
		if (segment == target->segment_count)
			return false;
		if (size == 4 && memcmp(path, "{id}", 4) == 0)
			*id = target->segments[segment];
		else if (!slice_equal(slice_of(path, size), target->segments[segment]))
			return false;
		segment++;
		path += size;
	}
	return segment == target->segment_count;
}

const struct route *route_find(const struct target *target, enum method method, struct slice *id, uint32_t *methods)
{
	*methods = 0;
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (!path_matches(ROUTES[i].path, target, id))
			continue;
		if (ROUTES[i].method == method)
			return &ROUTES[i];
		*methods |= 1u << ROUTES[i].method;
	}
	return NULL;
}
