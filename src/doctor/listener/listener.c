#include "doctor/listener/listener.h"

#include "base/check.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DAY_S INT64_C(86400)
/* From a third of its time on, and for 30 days at most, as the server warns. */
#define WARN_S_MAX (30 * DAY_S)

static bool look_fail(const char *target, const char *why)
{
	fprintf(stderr, "roost doctor: %s: %s\n", target, why);
	return false;
}

/* Splits at the last colon, in front of which brackets may stand. */
static bool split_target(const char *target, char *host, size_t room, const char **port)
{
	const char *colon = strrchr(target, ':');
	if (colon == NULL || colon == target || colon[1] == '\0')
		return false;
	bool brackets = target[0] == '[' && colon[-1] == ']';
	size_t size = (size_t)(colon - target) - (brackets ? 2 : 0);
	if (size == 0 || size >= room)
		return false;
	memcpy(host, target + (brackets ? 1 : 0), size);
	host[size] = '\0';
	*port = colon + 1;
	return true;
}

/* -1: *why says what failed. */
static int connect_to(const char *host, const char *port, const char **why)
{
	static const struct timeval timeout = {.tv_sec = LISTENER_MS_MAX / 1000};
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int error = getaddrinfo(host, port, &hints, &found);
	int fd = -1;
	*why = error != 0 ? gai_strerror(error) : "it has no address";
	for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
		fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0) {
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)); /* of connect(), too */
		}
		if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0)
			break;
		*why = strerror(errno);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	if (found != NULL)
		freeaddrinfo(found);
	return fd;
}

/* ---- the certificates ---- */

static int64_t listener_time_s(const ASN1_TIME *time)
{
	struct tm parts;
	return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static void read_chain(struct listener_verdict *verdict, const SSL *ssl)
{
	const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	int count = chain != NULL ? sk_X509_num(chain) : 0;
	verdict->chain = (uint32_t)count;
	for (int i = 0; i < count; i++) {
		const X509 *certificate = sk_X509_value(chain, i);
		int64_t begins_s = listener_time_s(X509_get0_notBefore(certificate));
		int64_t expires_s = listener_time_s(X509_get0_notAfter(certificate));
		if (i == 0 || begins_s > verdict->begins_s)
			verdict->begins_s = begins_s;
		if (i == 0 || expires_s < verdict->expires_s)
			verdict->expires_s = expires_s;
		if (i == 0)
			X509_NAME_oneline(X509_get_subject_name(certificate), verdict->subject,
					  sizeof(verdict->subject));
		X509_NAME_oneline(X509_get_issuer_name(certificate), verdict->issuer, sizeof(verdict->issuer));
		verdict->ends_in_root =
			X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
	}
}

static bool shake_hands(struct listener_verdict *verdict, SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *expected = SSL_get0_param(ssl);
	if (X509_VERIFY_PARAM_set1_ip_asc(expected, host) != 1) {
		SSL_set_tlsext_host_name(ssl, host);
		SSL_set1_host(ssl, host);
	}
	/* Whatever is wrong with the certificate, it is looked at. */
	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	if (SSL_connect(ssl) != 1) {
		const char *why = ERR_reason_error_string(ERR_peek_last_error());
		return look_fail(verdict->target, why != NULL ? why : "it speaks no TLS, or not in time");
	}
	snprintf(verdict->protocol, sizeof(verdict->protocol), "%s", SSL_get_version(ssl));
	snprintf(verdict->cipher, sizeof(verdict->cipher), "%s", SSL_get_cipher_name(ssl));
	verdict->verified = SSL_get_verify_result(ssl);
	read_chain(verdict, ssl);
	return true;
}

bool listener_look(struct listener_verdict *verdict, const char *target, const char *ca_file)
{
	char host[256];
	const char *port, *why;
	*verdict = (struct listener_verdict){.target = target};
	if (!split_target(target, host, sizeof(host), &port))
		return look_fail(target, "is not host:port");
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	if (context == NULL)
		return look_fail(target, "out of memory");
	bool good = ca_file != NULL ? SSL_CTX_load_verify_file(context, ca_file) == 1
				    : SSL_CTX_set_default_verify_paths(context) == 1;
	if (!good) {
		SSL_CTX_free(context);
		return look_fail(ca_file != NULL ? ca_file : target, "the certificates to trust it by cannot be read");
	}
	int fd = connect_to(host, port, &why);
	SSL *ssl = SSL_new(context);
	good = fd >= 0 || look_fail(target, why);
	good = good && ((ssl != NULL && SSL_set_fd(ssl, fd) == 1) || look_fail(target, "out of memory"));
	good = good && shake_hands(verdict, ssl, host);
	SSL_free(ssl);
	SSL_CTX_free(context);
	if (fd >= 0)
		close(fd);
	if (good)
		listener_judge(verdict, (int64_t)time(NULL));
	return good;
}

/* ---- what follows ---- */

static void warn(struct listener_verdict *verdict, bool fatal, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void warn(struct listener_verdict *verdict, bool fatal, const char *format, ...)
{
	va_list arguments;
	CHECK_LT(verdict->warning_count, LISTENER_WARNINGS_MAX);
	va_start(arguments, format);
	vsnprintf(verdict->warnings[verdict->warning_count++], LISTENER_LINE_BYTES, format, arguments);
	va_end(arguments);
	verdict->good = verdict->good && !fatal;
}

static void judge_trust(struct listener_verdict *verdict)
{
	switch (verdict->verified) {
	case X509_V_OK:
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		warn(verdict, true, "the certificate is not for the name or address that it was asked by");
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		warn(verdict, true,
		     "the chain of %u ends below %.200s, whom nobody here trusts: a certificate in between is missing "
		     "in the file of the listener, or --ca-file has to name that authority",
		     verdict->chain, verdict->issuer);
		return;
	default:
		warn(verdict, true, "%s", X509_verify_cert_error_string(verdict->verified));
	}
}

void listener_judge(struct listener_verdict *verdict, int64_t now_s)
{
	int64_t third_s = (verdict->expires_s - verdict->begins_s) / 3;
	verdict->warning_count = 0;
	verdict->good = true;
	judge_trust(verdict);
	if (now_s >= verdict->expires_s)
		warn(verdict, true, "a certificate of the chain has expired");
	else if (now_s < verdict->begins_s)
		warn(verdict, true, "a certificate of the chain is not valid yet");
	else if (verdict->expires_s - now_s < (third_s < WARN_S_MAX ? third_s : WARN_S_MAX))
		warn(verdict, false, "a certificate of the chain ends in %ld days: is it being renewed?",
		     (long)((verdict->expires_s - now_s) / DAY_S));
}

static void date_of(int64_t at_s, char text[32])
{
	struct tm parts;
	time_t at = (time_t)at_s;
	if (gmtime_r(&at, &parts) == NULL || strftime(text, 32, "%Y-%m-%d %H:%M UTC", &parts) == 0)
		snprintf(text, 32, "%ld", (long)at_s);
}

void listener_show(const struct listener_verdict *verdict, FILE *out)
{
	char date[32];
	date_of(verdict->expires_s, date);
	fprintf(out, "%s: %s, %s\n  shows %s, a chain of %u, valid until %s\n", verdict->target, verdict->protocol,
		verdict->cipher, verdict->subject, verdict->chain, date);
	for (uint32_t i = 0; i < verdict->warning_count; i++)
		fprintf(out, "  %s\n", verdict->warnings[i]);
	if (verdict->warning_count == 0)
		fputs("  it is trusted here, and its chain is complete\n", out);
}

json_t *listener_json(const struct listener_verdict *verdict)
{
	json_t *warnings = json_array();
	for (uint32_t i = 0; i < verdict->warning_count; i++)
		json_array_append_new(warnings, json_string(verdict->warnings[i]));
	return json_pack("{ss sb ss ss ss si sI sb so}", "target", verdict->target, "good", verdict->good, "protocol",
			 verdict->protocol, "cipher", verdict->cipher, "subject", verdict->subject, "chain",
			 (int)verdict->chain, "expires_s", (json_int_t)verdict->expires_s, "ends_in_root",
			 verdict->ends_in_root, "warnings", warnings);
}
