#include "tls/peer/failure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <stdio.h>

static void say(char words[TLS_FAILURE_BYTES_MAX], const char *text)
{
	snprintf(words, TLS_FAILURE_BYTES_MAX, "%s", text == NULL ? "unknown" : text);
}

/* Why it is not taken, and whose it is. */
static void say_of_certificate(const struct tls_failure *failure, const char *why, char words[TLS_FAILURE_BYTES_MAX])
{
	if (failure->subject == NULL || failure->issuer == NULL)
		say(words, why);
	else
		snprintf(words, TLS_FAILURE_BYTES_MAX, "%s: certificate \"%s\", issued by \"%s\"", why,
			 failure->subject, failure->issuer);
}

static enum error error_of_certificate(const struct tls_failure *failure, char words[TLS_FAILURE_BYTES_MAX])
{
	if (failure->no_name) {
		say_of_certificate(failure, "it has no name of the kind that is wanted", words);
		return ERROR_TLS_CERTIFICATE_NAME;
	}
	say_of_certificate(failure, X509_verify_cert_error_string(failure->verify_result), words);
	switch (failure->verify_result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return ERROR_TLS_CERTIFICATE_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return ERROR_TLS_CERTIFICATE_NOT_YET;
	case X509_V_ERR_CERT_REVOKED:
		return ERROR_TLS_CERTIFICATE_REVOKED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		snprintf(words, TLS_FAILURE_BYTES_MAX, "certificate \"%s\" is not for \"%s\"",
			 failure->subject == NULL ? "" : failure->subject, failure->host == NULL ? "" : failure->host);
		return ERROR_TLS_CERTIFICATE_UNTRUSTED;
	default:
		return ERROR_TLS_CERTIFICATE_UNTRUSTED;
	}
}

/* Those that say that the peer does not like our certificate [RFC 8446, 6.2]. */
static enum error error_of_alert(const struct tls_failure *failure, char words[TLS_FAILURE_BYTES_MAX])
{
	snprintf(words, TLS_FAILURE_BYTES_MAX, "the peer's alert: %s", SSL_alert_desc_string_long(failure->alert));
	switch (failure->alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
		return ERROR_TLS_CERTIFICATE_REFUSED;
	default:
		return ERROR_TLS_ALERT;
	}
}

/* ERROR_OK: it is not one with an error of its own. */
static enum error error_of_reason(int reason)
{
	switch (reason) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_VERSION_TOO_HIGH:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_UNKNOWN_PROTOCOL:
	case SSL_R_UNKNOWN_SSL_VERSION:
	case SSL_R_NO_PROTOCOLS_AVAILABLE:
	case SSL_R_BAD_PROTOCOL_VERSION_NUMBER:
	case SSL_R_INAPPROPRIATE_FALLBACK:
		return ERROR_TLS_VERSION;
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_CIPHERS_SPECIFIED:
	case SSL_R_NO_CIPHERS_AVAILABLE:
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SUITABLE_GROUPS:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
		return ERROR_TLS_CIPHER;
	case SSL_R_NO_APPLICATION_PROTOCOL:
		return ERROR_TLS_ALPN;
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return ERROR_TLS_CERTIFICATE_MISSING;
	case SSL_R_EXCESSIVE_MESSAGE_SIZE:
		return ERROR_TLS_HANDSHAKE_BYTES;
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
	case SSL_R_DATA_LENGTH_TOO_LONG:
	case SSL_R_RECORD_TOO_SMALL:
		return ERROR_TLS_RECORD_LENGTH;
	case SSL_R_BAD_RECORD_TYPE:
	case SSL_R_UNEXPECTED_RECORD:
		return ERROR_TLS_RECORD_TYPE;
	case SSL_R_DECRYPTION_FAILED:
	case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
		return ERROR_TLS_RECORD_TAG;
	default:
		return ERROR_OK;
	}
}

enum error tls_failure_explain(const struct tls_failure *failure, char words[TLS_FAILURE_BYTES_MAX])
{
	enum error error = ERROR_OK;
	unsigned long code, first = 0;
	int reason = 0;
	bool no_memory = failure->no_memory, unverified = false;
	while ((code = ERR_get_error()) != 0) {
		reason = ERR_GET_REASON(code);
		first = first == 0 ? code : first;
		no_memory = no_memory || reason == ERR_R_MALLOC_FAILURE;
		if (ERR_GET_LIB(code) != ERR_LIB_SSL)
			continue;
		unverified = unverified || reason == SSL_R_CERTIFICATE_VERIFY_FAILED;
		if (error == ERROR_OK && (error = error_of_reason(reason)) != ERROR_OK)
			first = code;
	}
	if (no_memory) {
		say(words, "out of memory");
		return ERROR_NO_MEMORY;
	}
	if (failure->alerted)
		return error_of_alert(failure, words);
	if (unverified)
		return error_of_certificate(failure, words);
	say(words, first == 0 ? "the peer closed" : ERR_reason_error_string(first));
	return error == ERROR_OK ? ERROR_TLS_HANDSHAKE : error;
}
