/* From a request of the HTTP server to the function that serves its path, and from what that answers to a response: who
 * may ask, which paths and methods there are, which bodies are wanted, and the header fields that every answer has. */
#ifndef ADMIN_API_DISPATCH_H
#define ADMIN_API_DISPATCH_H

#include "admin/api/context.h"
#include "admin/http/exchange.h"

/* The service that serves this API, which must outlive it. */
struct http_service api_service(struct api *api);

#endif
