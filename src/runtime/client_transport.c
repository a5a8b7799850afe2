#include "runtime/client_transport.h"

enum client_transport client_transport(const struct stream_facts *facts, bool is_unix)
{
	bool is_tls = facts->tls_version != 0;
	if (is_unix)
		return CLIENT_UNIX;
	if (facts->is_websocket)
		return is_tls ? CLIENT_WSS : CLIENT_WS;
	return is_tls ? CLIENT_TLS : CLIENT_TCP;
}

const char *client_transport_name(enum client_transport transport)
{
	static const char *const NAMES[] = {
		[CLIENT_TCP] = "tcp", [CLIENT_TLS] = "tls",   [CLIENT_WS] = "ws",
		[CLIENT_WSS] = "wss", [CLIENT_UNIX] = "unix",
	};
	_Static_assert(sizeof(NAMES) / sizeof(NAMES[0]) == CLIENT_TRANSPORTS, "each has one");
	CHECK_LT((uint32_t)transport, (uint32_t)CLIENT_TRANSPORTS);
	return NAMES[transport];
}

const char *client_tls_version(uint16_t version)
{
	switch (version) {
	case 0x0303:
		return "1.2";
	case 0x0304:
		return "1.3";
	default:
		return NULL;
	}
}

const char *client_tls_cipher(uint16_t cipher)
{
	static const struct {
		uint16_t number;
		const char *name;
	} CIPHERS[] = {
		{0x1301, "TLS_AES_128_GCM_SHA256"},
		{0x1302, "TLS_AES_256_GCM_SHA384"},
		{0x1303, "TLS_CHACHA20_POLY1305_SHA256"},
		{0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
		{0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
		{0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
		{0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
		{0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
		{0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
		{0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"},
		{0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"},
		{0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
	};
	for (size_t i = 0; i < sizeof(CIPHERS) / sizeof(CIPHERS[0]); i++) {
		if (CIPHERS[i].number == cipher)
			return CIPHERS[i].name;
	}
	return NULL;
}
