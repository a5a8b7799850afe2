#include "transport/transports.h"

enum error transports_open(struct transports *transports, struct streams *streams, struct arena *arena, uint32_t limit)
{
	uint32_t most = limit < STREAM_NUMBER_MAX ? limit : STREAM_NUMBER_MAX;
	*transports = (struct transports){0};
	if (tls_streams_open(&transports->tls, streams, arena) == ERROR_OK &&
	    websocket_streams_open(&transports->websockets, streams, arena, most, false) == ERROR_OK &&
	    proxied_streams_open(&transports->proxied, streams, arena, most) == ERROR_OK)
		return ERROR_OK;
	transports_close(transports);
	return ERROR_NO_MEMORY;
}

enum error transports_save(const struct transports *transports, const struct arena *arena)
{
	enum error error = tls_streams_save(&transports->tls, arena);
	if (error == ERROR_OK)
		error = websocket_streams_save(&transports->websockets, arena);
	return error == ERROR_OK ? pool_save(&transports->proxied.pool, arena) : error;
}

void transports_close(struct transports *transports)
{
	proxied_streams_close(&transports->proxied);
	websocket_streams_close(&transports->websockets);
	tls_streams_close(&transports->tls);
}
