/* Connects the HTTP server to the API: checks access, finds the handler for path and method, checks the body's size and
 * type, and adds the header fields that every response carries. */
#ifndef ADMIN_API_DISPATCH_H
#define ADMIN_API_DISPATCH_H

#include "admin/api/context.h"
#include "admin/http/exchange.h"

/* Returns the service for http_server_new(). api must outlive the server. */
struct http_service api_service(struct api *api);

#endif
