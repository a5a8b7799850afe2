#include "bench/dial/transport.h"

#include "base/check.h"
#include "base/file.h"
#include "tls/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEM_BYTES_MAX ((size_t)1 << 20)

/* The files behind the options. The context copies what it needs of them. */
struct documents {
	struct tls_document ca;
	struct tls_document chain;
	struct tls_document key;
};

/* Does nothing without a path. */
static bool read_document(const char *path, enum file_secrecy secrecy, struct tls_document *out)
{
	uint8_t *data;
	size_t size;
	if (path == NULL)
		return true;
	const char *fault = file_read(path, PEM_BYTES_MAX, secrecy, &data, &size);
	if (fault != NULL) {
		fprintf(stderr, "roost bench: %s: %s\n", path, fault);
		return false;
	}
	*out = (struct tls_document){.path = path, .pem = slice_of(data, size)};
	return true;
}

static void forget_document(struct tls_document *document)
{
	if (document->pem.data == NULL)
		return;
	explicit_bzero((uint8_t *)(uintptr_t)document->pem.data, document->pem.size);
	free((uint8_t *)(uintptr_t)document->pem.data);
}

static bool open_tls(struct transport *transport, const struct transport_options *options)
{
	char fault[TLS_FAULT_BYTES_MAX] = "";
	struct documents documents = {0};
	bool good = read_document(options->ca_path, FILE_PUBLIC, &documents.ca) &&
		    read_document(options->cert_path, FILE_PUBLIC, &documents.chain) &&
		    read_document(options->key_path, FILE_SECRET, &documents.key);
	if (good) {
		transport->tls = tls_context_new_client(
			&(struct tls_client_options){.ca = documents.ca,
						     .identity = {.chain = documents.chain, .key = documents.key},
						     .alpn = transport->is_websocket ? "http/1.1" : "mqtt",
						     .ciphers = options->ciphers,
						     .ciphersuites = options->suites,
						     .only_tls_1_2 = options->only_tls_1_2,
						     .check = options->ca_path != NULL,
						     .keeps_tickets = options->resume_percent > 0},
			fault);
		good = transport->tls != NULL;
		if (!good)
			fprintf(stderr, "roost bench: %s\n", fault);
	}
	forget_document(&documents.ca);
	forget_document(&documents.chain);
	forget_document(&documents.key);
	return good;
}

bool transport_open(struct transport *transport, const struct url *url, const struct transport_options *options)
{
	bool is_v6 = strchr(url->host, ':') != NULL;
	CHECK(url->scheme < URL_SCHEMES);
	*transport =
		(struct transport){.is_websocket = url_is_websocket(url), .resume_percent = options->resume_percent};
	snprintf(transport->host, sizeof(transport->host), "%s", url->host);
	snprintf(transport->path, sizeof(transport->path), "%s", transport->is_websocket ? url->path : "");
	snprintf(transport->authority, sizeof(transport->authority), "%s%s%s:%u", is_v6 ? "[" : "", url->host,
		 is_v6 ? "]" : "", (unsigned int)url->port);
	return !url_is_tls(url) || open_tls(transport, options);
}

void transport_close(struct transport *transport)
{
	if (transport->tls != NULL)
		tls_context_put(&transport->tls);
}
