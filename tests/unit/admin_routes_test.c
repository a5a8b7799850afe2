/* The table of paths, and that the OpenAPI description names exactly those. */
#include "admin/api/assets.h"
#include "admin/api/route_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct route *find(const char *method, const char *raw, struct slice *id, uint32_t *methods)
{
	static uint8_t room[256];
	struct target target;
	*id = slice_of(NULL, 0);
	assert_true(target_parse(&target, slice_string(raw), room));
	return route_find(&target, method_of(slice_string(method)), id, methods);
}

static void test_found(void **state)
{
	(void)state;
	struct slice id;
	uint32_t methods;
	const struct route *route = find("GET", "/", &id, &methods);
	assert_non_null(route);
	assert_string_equal(route->path, "/");
	assert_non_null(find("HEAD", "/health", &id, &methods));
	route = find("POST", "/api/v1/clients/a%2Fdisconnect/disconnect", &id, &methods);
	assert_non_null(route);
	assert_string_equal(route->path, "/api/v1/clients/{id}/disconnect");
	assert_true(slice_equal(id, slice_string("a/disconnect")));
	assert_non_null(find("DELETE", "/api/v1/clients/x", &id, &methods));
}

static void test_not_found(void **state)
{
	(void)state;
	struct slice id;
	uint32_t methods;
	static const char *const PATHS[] = {
		"/healthy", "/health/x", "/api", "/api/v1", "/api/v1/clients/a/b/c", "/api/v1/clients/a/connect",
		"/Health"};
	for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
		assert_null(find("GET", PATHS[i], &id, &methods));
		assert_int_equal(methods, 0);
	}
	assert_null(find("PUT", "/health", &id, &methods));
	assert_int_equal(methods, 1u << METHOD_GET);
	assert_null(find("POST", "/api/v1/clients/a", &id, &methods));
	assert_int_equal(methods, 1u << METHOD_GET | 1u << METHOD_DELETE);
}

static const char *const VERBS[METHOD_COUNT] = {"get", "post", "delete"};

static void test_described_as_they_are(void **state)
{
	(void)state;
	json_t *json = json_loadb((const char *)ASSET_OPENAPI, ASSET_OPENAPI_BYTES, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	const json_t *paths = json_object_get(json, "paths");
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		const json_t *path = json_object_get(paths, ROUTES[i].path);
		const json_t *operation = json_object_get(path, VERBS[ROUTES[i].method]);
		assert_non_null(operation);
		/* "security": [] says that it needs no token. */
		assert_int_equal(json_object_get(operation, "security") != NULL, ROUTES[i].access == ROUTE_IS_OPEN);
	}
	size_t described = 0;
	const char *name;
	json_t *path;
	json_object_foreach((json_t *)(uintptr_t)paths, name, path)
	{
		for (int i = 0; i < METHOD_COUNT; i++)
			described += json_object_get(path, VERBS[i]) != NULL;
	}
	assert_int_equal(described, ROUTE_COUNT);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_described_as_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
