#include "runtime/nodes/session_mail.h"

#include "base/check.h"

static uint8_t *session_mail_put(uint8_t *to, struct slice bytes)
{
	if (bytes.size != 0)
		memcpy(to, bytes.data, bytes.size);
	return to + bytes.size;
}

struct node_mail *session_mail_new(uint8_t kind, const struct session_piece *head, struct slice id, struct slice user,
				   struct slice body)
{
	CHECK(id.size <= UINT16_MAX && user.size <= UINT16_MAX);
	size_t bytes = sizeof(*head) + id.size + user.size + body.size;
	struct node_mail *mail = bytes <= UINT32_MAX ? node_mail_new(kind, (uint32_t)bytes) : NULL;
	if (mail == NULL)
		return NULL;
	struct session_piece *piece = session_piece_of(mail);
	*piece = *head;
	piece->id_bytes = (uint16_t)id.size;
	piece->user_bytes = (uint16_t)user.size;
	piece->body_bytes = (uint32_t)body.size;
	session_mail_put(session_mail_put(session_mail_put(piece->bytes, id), user), body);
	return mail;
}
