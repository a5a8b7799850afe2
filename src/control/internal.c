#include "control/internal.h"

#include "control/gateway_state.h"
#include "reactor/fdpass.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a shard may write ahead of the client: one that has much to send gets so much in a turn at most, since the
 * kernel says that there is room again when three quarters of it have been read. net.core.wmem_max may be less. */
#define AHEAD_BYTES (1 << 20)

int gateway_open_internal(struct gateway *gateway)
{
	static const uint8_t NOTHING[1];
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &(int){AHEAD_BYTES}, sizeof(int));
	enum error error = fdpass_send(gateway->internal_pair[0], &ends[1], 1, NOTHING, sizeof(NOTHING));
	int number = error == ERROR_MORE ? EAGAIN : errno;
	close(ends[1]); /* the gate has it by now */
	if (error == ERROR_OK)
		return ends[0];
	close(ends[0]);
	errno = number;
	return -1;
}

int gateway_internal_fd(const struct gateway *gateway)
{
	return gateway->internal_pair[0];
}

enum error internal_open(struct gateway *gateway)
{
	return fdpass_open(gateway->internal_pair);
}

void internal_close(struct gateway *gateway)
{
	close(gateway->internal_pair[0]);
	close(gateway->internal_pair[1]);
}
