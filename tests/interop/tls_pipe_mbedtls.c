/* tls_pipe.h over mbedTLS 2.28, which speaks TLS 1.2. fragment: of 512, 1024, 2048 or 4096 it is asked of the server,
 * too (max_fragment_length, RFC 6066, 4). */
#include "tls_pipe.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>

static mbedtls_ssl_context session;
static mbedtls_net_context net;

static void check(int result, const char *what)
{
	char why[200];
	if (result >= 0)
		return;
	mbedtls_strerror(result, why, sizeof(why));
	pipe_fail(what, why);
}

static bool is_again(int result)
{
	return result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static enum pipe_result pipe_receive(char *into, size_t room, size_t *got)
{
	int count = mbedtls_ssl_read(&session, (unsigned char *)into, room);
	if (is_again(count))
		return PIPE_AGAIN;
	if (count == 0 || count == MBEDTLS_ERR_SSL_CONN_EOF)
		return PIPE_CUT;
	if (count == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
		return PIPE_END;
	check(count, "receive");
	*got = (size_t)count;
	return PIPE_BYTES;
}

static enum pipe_result pipe_send(const char *bytes, size_t size, size_t *taken)
{
	int count = mbedtls_ssl_write(&session, (const unsigned char *)bytes, size);
	if (is_again(count))
		return PIPE_AGAIN;
	if (count < 0)
		return PIPE_END;
	*taken = (size_t)count;
	return PIPE_BYTES;
}

static void pipe_update_keys(void)
{
}

static void pipe_close(void)
{
	mbedtls_ssl_close_notify(&session);
}

static unsigned char fragment_code(size_t bytes)
{
	switch (bytes) {
	case 512:
		return MBEDTLS_SSL_MAX_FRAG_LEN_512;
	case 1024:
		return MBEDTLS_SSL_MAX_FRAG_LEN_1024;
	case 2048:
		return MBEDTLS_SSL_MAX_FRAG_LEN_2048;
	case 4096:
		return MBEDTLS_SSL_MAX_FRAG_LEN_4096;
	default:
		return MBEDTLS_SSL_MAX_FRAG_LEN_NONE;
	}
}

int main(int count, char **words)
{
	static mbedtls_ssl_config config;
	static mbedtls_x509_crt ca, own;
	static mbedtls_pk_context key;
	static mbedtls_entropy_context entropy;
	static mbedtls_ctr_drbg_context random;
	static int suites[2];
	struct pipe_options options = pipe_options(count, words);

	mbedtls_ssl_init(&session);
	mbedtls_ssl_config_init(&config);
	mbedtls_x509_crt_init(&ca);
	mbedtls_x509_crt_init(&own);
	mbedtls_pk_init(&key);
	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&random);
	net.fd = options.fd;
	check(mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0), "random numbers");
	check(mbedtls_x509_crt_parse_file(&ca, options.ca), options.ca);
	check(mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
					  MBEDTLS_SSL_PRESET_DEFAULT),
	      "configuration");
	mbedtls_ssl_conf_ca_chain(&config, &ca, NULL);
	mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
	if (options.certificate != NULL) {
		check(mbedtls_x509_crt_parse_file(&own, options.certificate), options.certificate);
		check(mbedtls_pk_parse_keyfile(&key, options.key, NULL), options.key);
		check(mbedtls_ssl_conf_own_cert(&config, &own, &key), "certificate");
	}
	if (options.suites != NULL) {
		suites[0] = mbedtls_ssl_get_ciphersuite_id(options.suites);
		if (suites[0] == 0)
			pipe_fail(options.suites, "no such suite");
		mbedtls_ssl_conf_ciphersuites(&config, suites);
	}
	if (fragment_code(options.fragment_bytes) != MBEDTLS_SSL_MAX_FRAG_LEN_NONE)
		check(mbedtls_ssl_conf_max_frag_len(&config, fragment_code(options.fragment_bytes)), "fragments");
	check(mbedtls_ssl_setup(&session, &config), "session");
	check(mbedtls_ssl_set_hostname(&session, options.name), "name");
	mbedtls_ssl_set_bio(&session, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
	int result;
	do
		result = mbedtls_ssl_handshake(&session);
	while (is_again(result));
	check(result, "handshake");
	fprintf(stderr, "%s %s full\n", mbedtls_ssl_get_version(&session), mbedtls_ssl_get_ciphersuite(&session));
	pipe_run(net.fd, &options);
}
