#include "tls/record.h"

#include "base/check.h"
#include "tls/schedule.h"

#include <endian.h>
#include <string.h>

/* Types of records [RFC 8446, 5.1]. */
enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23 };

/* Types of messages [RFC 8446, 4; RFC 5246, 7.4]. */
enum { HELLO_REQUEST = 0, CLIENT_HELLO = 1, NEW_SESSION_TICKET = 4, KEY_UPDATE = 24 };
#define MESSAGE_HEAD_BYTES 4u

/* Alerts [RFC 8446, 6; RFC 5246, 7.2]. */
enum { WARNING = 1, FATAL = 2 };
enum {
	CLOSE_NOTIFY = 0,
	UNEXPECTED_MESSAGE = 10,
	BAD_RECORD_MAC = 20,
	RECORD_OVERFLOW = 22,
	ILLEGAL_PARAMETER = 47,
	DECODE_ERROR = 50,
	USER_CANCELED = 90,
	NO_RENEGOTIATION = 100,
};

/* legacy_record_version, and the version of TLS 1.2. */
#define VERSION_HIGH 3u
#define VERSION_LOW 3u
#define HEAD_1_2_BYTES 13u

static size_t read_16(const uint8_t *bytes)
{
	return (size_t)bytes[0] << 8 | bytes[1];
}

static void write_16(uint8_t *bytes, size_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

_Static_assert(ERROR_COUNT <= UINT8_MAX + 1, "an error fits a session");

static enum error fail(struct tls_session *session, enum error error, uint8_t alert)
{
	CHECK(!session->closed);
	session->closed = true;
	session->alert = alert;
	session->error = (uint8_t)error;
	return error;
}

/* ---- nonce and head, both directions ---- */

/* The IV with the sequence number in its last eight bytes [RFC 8446, 5.3; RFC 7905, 2]. The IV of AES-GCM in TLS 1.2
 * has four bytes and zeros behind them, so that what we send there is the sequence number itself [RFC 5288, 3]. */
static void make_nonce(struct tls_session *session, enum tls_direction direction, uint8_t nonce[TLS_IV_BYTES])
{
	uint64_t low;
	memcpy(nonce, tls_session_iv(session, direction), TLS_IV_BYTES);
	memcpy(&low, nonce + 4, sizeof(low));
	low ^= htobe64(session->sequence[direction]);
	memcpy(nonce + 4, &low, sizeof(low));
}

/* What a record of TLS 1.2 authenticates: its number, and its head with the length of the content [RFC 5246, 6.2.3.3].
 * TLS 1.3 takes the head as it is on the wire. */
static struct slice make_head(const struct tls_session *session, enum tls_direction direction, const uint8_t *record,
			      size_t content_bytes, uint8_t out[HEAD_1_2_BYTES])
{
	if (session->version == TLS_1_3)
		return slice_of(record, TLS_HEAD_BYTES);
	uint64_t sequence = htobe64(session->sequence[direction]);
	memcpy(out, &sequence, sizeof(sequence));
	memcpy(out + 8, record, 3);
	write_16(out + 11, content_bytes);
	return slice_of(out, HEAD_1_2_BYTES);
}

/* ---- reading ---- */

enum error tls_record_size(struct slice bytes, size_t *size)
{
	*size = 0;
	if (bytes.size < TLS_HEAD_BYTES)
		return ERROR_OK;
	if (bytes.data[0] < CHANGE_CIPHER_SPEC || bytes.data[0] > APPLICATION_DATA || bytes.data[1] != VERSION_HIGH)
		return ERROR_TLS_RECORD_TYPE;
	size_t record = TLS_HEAD_BYTES + read_16(bytes.data + 3);
	if (record > TLS_RECORD_BYTES_MAX)
		return ERROR_TLS_RECORD_LENGTH;
	*size = record;
	return ERROR_OK;
}

void tls_session_fail(struct tls_session *session, enum error error)
{
	fail(session, error, error == ERROR_TLS_RECORD_LENGTH ? RECORD_OVERFLOW : UNEXPECTED_MESSAGE);
}

static enum error open_alert(struct tls_session *session, struct slice content, enum tls_content *what)
{
	if (content.size != 2)
		return fail(session, ERROR_TLS_MESSAGE, content.size == 0 ? UNEXPECTED_MESSAGE : DECODE_ERROR);
	bool is_fatal = session->version == TLS_1_3 ? content.data[1] != USER_CANCELED : content.data[0] != WARNING;
	if (content.data[1] == CLOSE_NOTIFY) {
		session->closed = true;
		*what = TLS_CONTENT_END;
		return ERROR_OK;
	}
	*what = TLS_CONTENT_NONE;
	return is_fatal ? fail(session, ERROR_TLS_ALERT, CLOSE_NOTIFY) : ERROR_OK;
}

/* Whether a message of this type may come after the handshake. Renegotiation may not: a ClientHello is refused with the
 * alert that is made for it, a HelloRequest is as good as not heard [RFC 5246, 7.4.1.1]. */
static enum error check_message(struct tls_session *session, uint8_t type)
{
	if (session->version == TLS_1_3) {
		if (type == KEY_UPDATE || (type == NEW_SESSION_TICKET && !session->is_server))
			return ERROR_OK;
	} else if (type == HELLO_REQUEST && !session->is_server) {
		return ERROR_OK;
	} else if (type == CLIENT_HELLO && session->is_server) {
		return fail(session, ERROR_TLS_MESSAGE, NO_RENEGOTIATION);
	}
	return fail(session, ERROR_TLS_MESSAGE, UNEXPECTED_MESSAGE);
}

static size_t message_left(const struct tls_session *session)
{
	return (size_t)session->message[1] << 16 | read_16(session->message + 2);
}

/* It must be the last message of its record, for what follows has other keys [RFC 8446, 5.1]. */
static enum error open_key_update(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t request,
				  bool is_last, enum tls_content *what)
{
	if (!is_last)
		return fail(session, ERROR_TLS_MESSAGE, UNEXPECTED_MESSAGE);
	if (request > 1)
		return fail(session, ERROR_TLS_MESSAGE, ILLEGAL_PARAMETER);
	tls_session_update(ciphers, session, TLS_READ);
	session->update_due |= request == 1;
	*what = TLS_CONTENT_UPDATE;
	return ERROR_OK;
}

/* The head of a message is whole: is its length one that the type may have? */
static enum error check_message_length(struct tls_session *session)
{
	size_t size = message_left(session);
	bool is_good = session->message[0] == KEY_UPDATE      ? size == 1
		       : session->message[0] == HELLO_REQUEST ? size == 0
							      : size != 0;
	return is_good ? ERROR_OK : fail(session, ERROR_TLS_MESSAGE, DECODE_ERROR);
}

/* Messages come in any number to a record, and over any number of records. Of one that has not come whole, its head is
 * kept, with the length of what is missing. */
static enum error open_messages(struct tls_ciphers *ciphers, struct tls_session *session, struct slice content,
				enum tls_content *what)
{
	*what = TLS_CONTENT_NONE;
	if (content.size == 0)
		return fail(session, ERROR_TLS_MESSAGE, UNEXPECTED_MESSAGE);
	for (size_t at = 0; at < content.size;) {
		enum error error = ERROR_OK;
		if (session->message_bytes < MESSAGE_HEAD_BYTES) {
			session->message[session->message_bytes++] = content.data[at++];
			if (session->message_bytes == 1)
				error = check_message(session, session->message[0]);
			else if (session->message_bytes == MESSAGE_HEAD_BYTES)
				error = check_message_length(session);
		} else if (session->message[0] == KEY_UPDATE) {
			session->message_bytes = 0;
			error = open_key_update(ciphers, session, content.data[at], at + 1 == content.size, what);
			at++;
		} else {
			size_t left = message_left(session);
			size_t part = left < content.size - at ? left : content.size - at;
			session->message[1] = (uint8_t)((left - part) >> 16);
			write_16(session->message + 2, left - part);
			at += part;
		}
		if (error != ERROR_OK)
			return error;
		if (session->message_bytes == MESSAGE_HEAD_BYTES && message_left(session) == 0)
			session->message_bytes = 0;
	}
	return ERROR_OK;
}

/* Takes the padding off, and the type in front of it [RFC 8446, 5.2]. A record is as long as it can be at the most, and
 * all of that may be zeros. Returns the type; 0: there is none. */
static uint8_t strip_padding(struct slice *content)
{
	uint64_t last;
	while (content->size >= sizeof(last)) {
		memcpy(&last, content->data + content->size - sizeof(last), sizeof(last));
		if (last != 0)
			break;
		content->size -= sizeof(last);
	}
	while (content->size != 0) {
		uint8_t byte = content->data[--content->size];
		if (byte != 0)
			return byte;
	}
	return 0;
}

/* Checks and decrypts. *content: with its type and padding in TLS 1.3. */
static enum error decrypt(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *record,
			  size_t record_bytes, uint8_t *out, struct slice *content)
{
	size_t explicit_bytes = tls_explicit_bytes(session);
	size_t overhead = TLS_HEAD_BYTES + explicit_bytes + TLS_TAG_BYTES;
	if (record_bytes < overhead + (session->version == TLS_1_3 ? 1 : 0))
		return fail(session, ERROR_TLS_RECORD_LENGTH, BAD_RECORD_MAC);
	size_t size = record_bytes - overhead;
	uint8_t *sealed = record + TLS_HEAD_BYTES + explicit_bytes;
	uint8_t nonce[TLS_IV_BYTES];
	uint8_t head[HEAD_1_2_BYTES];
	make_nonce(session, TLS_READ, nonce);
	if (explicit_bytes != 0)
		memcpy(nonce + TLS_IV_BYTES - explicit_bytes, record + TLS_HEAD_BYTES, explicit_bytes);
	const struct tls_aead aead = {
		.suite = session->suite,
		.key = tls_session_key(session, TLS_READ),
		.nonce = nonce,
		.head = make_head(session, TLS_READ, record, size, head),
	};
	if (!tls_aead_open(ciphers, &aead, sealed, size, out != NULL ? out : sealed))
		return fail(session, ERROR_TLS_RECORD_TAG, BAD_RECORD_MAC);
	session->sequence[TLS_READ]++;
	if (size > TLS_PLAIN_BYTES_MAX + (session->version == TLS_1_3 ? 1 : 0))
		return fail(session, ERROR_TLS_RECORD_LENGTH, RECORD_OVERFLOW);
	*content = slice_of(out != NULL ? out : sealed, size);
	return ERROR_OK;
}

enum error tls_record_open(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *record,
			   size_t record_bytes, uint8_t *out, struct slice *plain, enum tls_content *what)
{
	CHECK(!session->closed);
	CHECK_EQ(record_bytes, TLS_HEAD_BYTES + read_16(record + 3));
	uint8_t type = record[0];
	/* In the clear nothing may come any more, not even what TLS 1.3 has middleboxes see during the handshake. */
	if (session->version == TLS_1_3 && type != APPLICATION_DATA)
		return fail(session, ERROR_TLS_RECORD_TYPE, UNEXPECTED_MESSAGE);
	enum error error = decrypt(ciphers, session, record, record_bytes, out, plain);
	if (error != ERROR_OK)
		return error;
	if (session->version == TLS_1_3)
		type = strip_padding(plain);
	if (session->message_bytes != 0 && type != HANDSHAKE)
		return fail(session, ERROR_TLS_MESSAGE, UNEXPECTED_MESSAGE);
	*what = TLS_CONTENT_DATA;
	if (type == ALERT)
		error = open_alert(session, *plain, what);
	else if (type == HANDSHAKE)
		error = open_messages(ciphers, session, *plain, what);
	else if (type != APPLICATION_DATA)
		return fail(session, ERROR_TLS_RECORD_TYPE, UNEXPECTED_MESSAGE);
	if (error != ERROR_OK || *what == TLS_CONTENT_END)
		return error;

	if (*what == TLS_CONTENT_DATA && plain->size != 0)
		session->idle_records = 0;
	else if (++session->idle_records > TLS_IDLE_RECORDS_MAX)
		return fail(session, ERROR_TLS_MESSAGE, UNEXPECTED_MESSAGE);
	return ERROR_OK;
}

/* ---- writing ---- */

static uint8_t *content_in(const struct tls_session *session, uint8_t *record)
{
	return record + TLS_HEAD_BYTES + tls_explicit_bytes(session);
}

/* Seals what stands at `content`, with its head in front. Returns where the record ends. */
static uint8_t *seal_content(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t type, uint8_t *content,
			     size_t size)
{
	size_t explicit_bytes = tls_explicit_bytes(session);
	uint8_t *record = content - explicit_bytes - TLS_HEAD_BYTES;
	size_t sealed = size;
	record[0] = type;
	if (session->version == TLS_1_3) {
		content[sealed++] = type;
		record[0] = APPLICATION_DATA;
	}
	record[1] = VERSION_HIGH;
	record[2] = VERSION_LOW;
	write_16(record + 3, explicit_bytes + sealed + TLS_TAG_BYTES);

	uint8_t nonce[TLS_IV_BYTES];
	uint8_t head[HEAD_1_2_BYTES];
	make_nonce(session, TLS_WRITE, nonce);
	if (explicit_bytes != 0)
		memcpy(record + TLS_HEAD_BYTES, nonce + TLS_IV_BYTES - explicit_bytes, explicit_bytes);
	const struct tls_aead aead = {
		.suite = session->suite,
		.key = tls_session_key(session, TLS_WRITE),
		.nonce = nonce,
		.head = make_head(session, TLS_WRITE, record, size, head),
	};
	tls_aead_seal(ciphers, &aead, content, sealed);
	session->sequence[TLS_WRITE]++;
	return content + sealed + TLS_TAG_BYTES;
}

uint8_t *tls_record_begin(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *out)
{
	if (tls_key_update_due(session))
		out += tls_key_update_write(ciphers, session, out);
	return content_in(session, out);
}

uint8_t *tls_record_end(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *content, size_t size)
{
	CHECK(size != 0 && size <= session->plain_bytes_max && !tls_key_update_due(session));
	return seal_content(ciphers, session, APPLICATION_DATA, content, size);
}

size_t tls_record_seal(struct tls_ciphers *ciphers, struct tls_session *session, const struct slice *parts,
		       size_t count, size_t size, uint8_t *out)
{
	uint8_t *content = tls_record_begin(ciphers, session, out);
	size_t gathered = 0;
	for (size_t i = 0; i < count && gathered < size; i++) {
		size_t part = parts[i].size < size - gathered ? parts[i].size : size - gathered;
		memcpy(content + gathered, parts[i].data, part);
		gathered += part;
	}
	CHECK_EQ(gathered, size);
	return (size_t)(tls_record_end(ciphers, session, content, size) - out);
}

size_t tls_sealed_bytes(const struct tls_session *session, size_t size)
{
	size_t type_bytes = session->version == TLS_1_3 ? 1 : 0;
	return TLS_HEAD_BYTES + tls_explicit_bytes(session) + size + type_bytes + TLS_TAG_BYTES;
}

void tls_record_unseal(struct tls_session *session)
{
	CHECK(session->sequence[TLS_WRITE] != 0);
	session->sequence[TLS_WRITE]--;
}

size_t tls_key_update_write(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *out)
{
	static const uint8_t MESSAGE[] = {KEY_UPDATE, 0, 0, 1, 0}; /* update_not_requested */
	if (session->version != TLS_1_3)
		return 0;
	uint8_t *content = content_in(session, out);
	memcpy(content, MESSAGE, sizeof(MESSAGE));
	uint8_t *end = seal_content(ciphers, session, HANDSHAKE, content, sizeof(MESSAGE));
	tls_session_update(ciphers, session, TLS_WRITE);
	session->update_due = false;
	return (size_t)(end - out);
}

size_t tls_alert_write(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *out)
{
	uint8_t *content = content_in(session, out);
	bool is_warning = session->alert == CLOSE_NOTIFY || session->alert == NO_RENEGOTIATION;
	content[0] = is_warning ? WARNING : FATAL;
	content[1] = session->alert;
	return (size_t)(seal_content(ciphers, session, ALERT, content, 2) - out);
}
