/* The options of what carries MQTT (dial/transport.h), which all loads share that take the URL of a broker. */
#ifndef BENCH_TRANSPORT_OPTIONS_H
#define BENCH_TRANSPORT_OPTIONS_H

#include "bench/dial/transport.h"
#include "bench/options/options.h"

/* A table over struct transport_options. */
extern const struct option_row TRANSPORT_OPTIONS[];

/* What --help says of them. */
#define TRANSPORT_USAGE                                                                                                \
	"A URL begins with tcp://, tls:// (or mqtts://), ws://, wss:// or unix://; a WebSocket's path may follow "     \
	"the\n"                                                                                                        \
	"port (/mqtt). Over TLS:\n"                                                                                    \
	"      --tls-ca FILE          check the broker's certificate and name against the CAs in FILE; without it\n"   \
	"                             any certificate is taken\n"                                                      \
	"      --tls-cert FILE        certificate that all clients show, and those that sign it\n"                     \
	"      --tls-key FILE         its key\n"                                                                       \
	"      --tls-version 1.2|1.3  the highest that is offered (1.3)\n"                                             \
	"      --tls-suites LIST      of TLS 1.3, by OpenSSL's names with : between (AES-128-GCM, AES-256-GCM,\n"      \
	"                             ChaCha20)\n"                                                                     \
	"      --tls-ciphers LIST     the same of TLS 1.2\n"                                                           \
	"      --tls-resume PERCENT   connections that resume the session of an earlier one, as far as the broker "    \
	"has\n"                                                                                                        \
	"                             given tickets, 0 to 100 (0)\n"

/* Returns NULL, or which options exclude each other. */
const char *transport_options_fault(const struct transport_options *options);

#endif
