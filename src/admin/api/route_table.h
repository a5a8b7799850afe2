/* The paths of the admin side: one table, which the OpenAPI description is tested against. */
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
	ROUTE_IS_OPEN,    /* says nothing that is secret */
	ROUTE_IS_METRICS, /* open where so configured */
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
/* METHOD_COUNT: none that any path has. */
enum method method_of(struct slice name);

/* The route, with *id set; NULL: *methods says which the path has, as a set of bits (0: there is no such path). */
const struct route *route_find(const struct target *target, enum method method, struct slice *id, uint32_t *methods);

#endif
