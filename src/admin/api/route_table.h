/* The paths of the admin side. A test compares this table with the OpenAPI description. */
#ifndef ADMIN_API_ROUTE_TABLE_H
#define ADMIN_API_ROUTE_TABLE_H

#include "admin/api/request.h"

enum method {
	METHOD_GET, /* HEAD too */
	METHOD_POST,
	METHOD_DELETE,
	METHOD_COUNT,
};

enum route_access {
	ROUTE_NEEDS_TOKEN,
	ROUTE_IS_OPEN,    /* needs no token: it reveals nothing */
	ROUTE_IS_METRICS, /* needs no token if --admin-open-metrics is set */
};

struct route {
	enum method method;
	const char *path; /* "{id}" stands for any segment */
	enum route_access access;
	void (*serve)(struct request *request);
};

extern const struct route ROUTES[];
extern const size_t ROUTE_COUNT;

const char *method_name(enum method method);
/* Returns METHOD_COUNT for a method that no path has. */
enum method method_of(struct slice name);

/* Returns the route and sets *id. Returns NULL if there is none; *methods is then the set of methods that the path has,
 * one bit each (0: no such path). */
const struct route *route_find(const struct target *target, enum method method, struct slice *id, uint32_t *methods);

#endif
