#include "runtime/nodes/node_mail.h"

#include "base/check.h"
#include "reactor/mailbox.h"
#include "runtime/nodes/node_filters.h"

#include <stdlib.h>

_Static_assert(offsetof(struct node_mail, body) % 8 == 0, "a body has the alignment of what is put into it");

static void box_push(struct node_box *box, struct node_mail *mail)
{
	mail->next = atomic_load_explicit(&box->top, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&box->top, &mail->next, mail, memory_order_release,
						      memory_order_relaxed))
		continue;
}

static void free_all(struct node_mail *mail)
{
	while (mail != NULL) {
		struct node_mail *next = mail->next;
		node_mail_free(mail);
		mail = next;
	}
}

static void wake(void *context)
{
	node_port_wake(context);
}

struct node_port *node_port_new(struct mailbox *mailboxes, uint16_t shard_count, const char *cluster)
{
	CHECK_GT(shard_count, 0u);
	CHECK_LE(shard_count, UINT16_MAX - NODES_MAX - 1u);
	struct node_port *port = aligned_alloc(64, sizeof(*port));
	struct node_box *boxes = aligned_alloc(64, shard_count * sizeof(*boxes));
	struct node_filters *filters = port != NULL ? node_filters_new(cluster, wake, port) : NULL;
	if (boxes == NULL || filters == NULL || waker_open(&port->waker) != ERROR_OK) {
		free(port);
		free(boxes);
		node_filters_free(filters);
		return NULL;
	}
	mailbox_open_with(&mailboxes[shard_count], &port->waker);
	port->filters = filters;
	atomic_init(&port->to_nodes.top, NULL);
	for (uint16_t i = 0; i < shard_count; i++)
		atomic_init(&boxes[i].top, NULL);
	port->to_shards = boxes;
	port->mailboxes = mailboxes;
	port->shard_count = shard_count;
	atomic_init(&port->is_open, false);
	return port;
}

void node_port_free(struct node_port *port)
{
	if (port == NULL)
		return;
	free_all(node_box_take(&port->to_nodes));
	for (uint16_t i = 0; i < port->shard_count; i++)
		free_all(node_box_take(&port->to_shards[i]));
	mailbox_close(&port->mailboxes[port->shard_count]);
	node_filters_free(port->filters);
	waker_close(&port->waker);
	free(port->to_shards);
	free(port);
}

struct node_mail *node_mail_new(uint8_t kind, uint32_t bytes)
{
	struct node_mail *mail = malloc(sizeof(*mail) + bytes);
	if (mail == NULL)
		return NULL;
	*mail = (struct node_mail){.bytes = bytes, .kind = kind};
	return mail;
}

void node_mail_free(struct node_mail *mail)
{
	free(mail);
}

bool node_port_send(struct node_port *port, uint16_t shard, struct node_mail *mail)
{
	if (!atomic_load_explicit(&port->is_open, memory_order_acquire)) {
		node_mail_free(mail);
		return false;
	}
	mail->shard = shard;
	box_push(&port->to_nodes, mail);
	return true;
}

void node_port_wake(struct node_port *port)
{
	waker_wake(&port->waker);
}

void node_port_post(struct node_port *port, uint16_t shard, struct node_mail *mail)
{
	CHECK_LT(shard, port->shard_count);
	mail->shard = shard;
	box_push(&port->to_shards[shard], mail);
	waker_wake(&port->mailboxes[shard].waker);
}

struct node_mail *node_box_take(struct node_box *box)
{
	struct node_mail *mail = atomic_exchange_explicit(&box->top, NULL, memory_order_acquire);
	struct node_mail *first = NULL;
	while (mail != NULL) {
		struct node_mail *next = mail->next;
		mail->next = first;
		first = mail;
		mail = next;
	}
	return first;
}

void node_port_open(struct node_port *port)
{
	free_all(node_box_take(&port->to_nodes)); /* of a shard that saw it open when it was being closed */
	atomic_store_explicit(&port->is_open, true, memory_order_release);
}

void node_port_close(struct node_port *port)
{
	atomic_store_explicit(&port->is_open, false, memory_order_release);
	free_all(node_box_take(&port->to_nodes));
}
