/* TLS to Redis: what is trusted, and our own certificate. The files are read each time that a connection is made, so
 * that a renewed one counts from the next on, and nothing has to be reloaded. One thread, which blocks on the disk. */
#ifndef BRIDGE_REDIS_TLS_H
#define BRIDGE_REDIS_TLS_H

#include "tls/context.h"
#include "transport/stream_tls.h"

/* Paths, and "" where there is none. They outlive what is made of them. */
struct redis_tls_settings {
	bool on;
	const char *ca_file;     /* "": the system's certificate authorities */
	const char *certificate; /* of ours */
	const char *key;         /* "": the certificate's file has it, too */
	const char *name;        /* that Redis' certificate is to have; "": the host in the URL */
};

/* Reads the files. NULL: fault says in a sentence which of them will not do, and how. */
struct tls_context *redis_tls_read(const struct redis_tls_settings *settings, char fault[TLS_FAULT_BYTES_MAX]);

#endif
