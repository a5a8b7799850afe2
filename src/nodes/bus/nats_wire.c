#include "nodes/bus/nats_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define TLS_RECORD_HEAD_BYTES 5u
/* The nodes thread takes what has come after each read, so nothing gathers. */
#define NO_LIMIT (-1)

/* ---- what libnats tells of a connection's socket; from whichever thread calls libnats ---- */

static natsStatus socket_attached(void **user, void *loop, natsConnection *connection, natsSock socket)
{
	struct nats_wire *wire = loop;
	(void)connection;
	wire->fd = (int)socket;
	*user = wire;
	return NATS_OK;
}

static natsStatus read_wanted(void *user, bool add)
{
	struct nats_wire *wire = user;
	if (!add)
		wire->fd = -1;
	return NATS_OK;
}

static natsStatus write_wanted(void *user, bool add)
{
	((struct nats_wire *)user)->wants_write = add;
	return NATS_OK;
}

static natsStatus socket_detached(void *user)
{
	((struct nats_wire *)user)->fd = -1;
	return NATS_OK;
}

natsStatus nats_wire_attach(struct nats_wire *wire, natsOptions *options)
{
	return wire->nats->Options_SetEventLoop(options, wire, socket_attached, read_wanted, write_wanted,
						socket_detached);
}

natsStatus nats_wire_subscribe(struct nats_wire *wire, uint32_t number, const char *subject)
{
	natsSubscription **subscription = &wire->subscriptions[number];
	natsStatus status = wire->nats->Connection_SubscribeSync(subscription, wire->connection, subject);
	if (status != NATS_OK)
		return status;
	return wire->nats->Subscription_SetPendingLimits(*subscription, NO_LIMIT, NO_LIMIT);
}

/* ---- life ---- */

struct nats_wire *nats_wire_new(const struct nats_library *nats)
{
	struct nats_wire *wire = calloc(1, sizeof(*wire));
	if (wire == NULL)
		return NULL;
	wire->nats = nats;
	wire->fd = -1;
	return wire;
}

static void free_spent(struct nats_wire *wire)
{
	for (uint32_t i = 0; i < wire->spent_count; i++)
		wire->nats->Msg_Destroy(wire->spent[i]);
	wire->spent_count = 0;
	wire->spent_bytes = 0;
}

static void spend(struct nats_wire *wire, natsMsg *message, size_t size)
{
	wire->spent[wire->spent_count++] = message;
	wire->spent_bytes += size;
	if (wire->spent_count == NATS_WIRE_SPENT_MAX || wire->spent_bytes > NATS_WIRE_SPENT_BYTES_MAX)
		free_spent(wire);
}

void nats_wire_free(struct nats_wire *wire)
{
	if (wire == NULL)
		return;
	/* A connection that is whole would first ask the server for an answer, which nobody here reads. */
	if (wire->fd >= 0) {
		shutdown(wire->fd, SHUT_RDWR);
		errno = 0;
		wire->nats->Connection_ProcessReadEvent(wire->connection);
	}
	free_spent(wire);
	for (uint32_t i = 0; i < NATS_WIRE_SUBJECTS; i++)
		wire->nats->Subscription_Destroy(wire->subscriptions[i]);
	wire->nats->Connection_Destroy(wire->connection);
	free(wire);
}

/* ---- reading ---- */

static void set_low_water(struct nats_wire *wire, int bytes)
{
	setsockopt(wire->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
	wire->waits_for_record = bytes > 1;
}

/* libnats waits in the middle of a TLS record, so it is asked to read whole ones only; the socket is readable when one
 * is there. */
static bool has_whole_record(struct nats_wire *wire)
{
	uint8_t head[TLS_RECORD_HEAD_BYTES];
	int available = 0;
	ssize_t size = recv(wire->fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
	if (size <= 0)
		return size == 0 || errno != EAGAIN;
	int wanted = (int)TLS_RECORD_HEAD_BYTES;
	if ((size_t)size == sizeof(head))
		wanted += head[3] << 8 | head[4];
	ioctl(wire->fd, FIONREAD, &available);
	if (available >= wanted && (size_t)size == sizeof(head)) {
		if (wire->waits_for_record)
			set_low_water(wire, 1);
		return true;
	}
	set_low_water(wire, wanted);
	return false;
}

/* What libnats has gathered in one read. */
static void take_messages(struct nats_wire *wire, uint32_t subject, nats_wire_visit *visit, void *context)
{
	natsSubscription *subscription = wire->subscriptions[subject];
	int count = 0;
	if (wire->nats->Subscription_GetPending(subscription, &count, NULL) != NATS_OK)
		return;
	for (; count > 0; count--) {
		natsMsg *message = NULL;
		if (wire->nats->Subscription_NextMsg(&message, subscription, 0) != NATS_OK)
			return;
		int length = wire->nats->Msg_GetDataLength(message);
		size_t size = length > 0 ? (size_t)length : 0;
		visit(context, subject, slice_of(wire->nats->Msg_GetData(message), size));
		spend(wire, message, size);
	}
}

void nats_wire_read(struct nats_wire *wire, nats_wire_visit *visit, void *context)
{
	if (wire->is_tls && !has_whole_record(wire))
		return;
	errno = 0;
	wire->nats->Connection_ProcessReadEvent(wire->connection);
	/* Also what came before the connection broke. */
	for (uint32_t i = 0; i < NATS_WIRE_SUBJECTS; i++)
		take_messages(wire, i, visit, context);
}

size_t nats_wire_write(struct nats_wire *wire)
{
	/* libnats takes it for the end of the connection where there is nothing to write. */
	if (!wire->wants_write)
		return 0;
	errno = 0;
	wire->nats->Connection_ProcessWriteEvent(wire->connection);
	int buffered = wire->nats->Connection_Buffered(wire->connection);
	return buffered > 0 ? (size_t)buffered : 0;
}
