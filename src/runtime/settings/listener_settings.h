/* What a listener has besides its address: how its clients come, and with which certificates. One for each entry of the
 * option `listen`; the addresses of one name share it. Filled by the daemon from the entry's own keys and from the
 * options of all listeners; immutable, and a reload publishes new ones with the settings. Of these, only what belongs
 * to a unix socket's file and the path of a WebSocket stay as they were at the start. */
#ifndef RUNTIME_LISTENER_SETTINGS_H
#define RUNTIME_LISTENER_SETTINGS_H

#include "net/filter/prefix.h"
#include "net/listener.h"
#include "tls/context.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LISTENER_TEXT_BYTES_MAX 512u
#define LISTENER_ORIGINS_MAX 16u
#define LISTENER_NETWORKS_MAX 16u

struct certificate_files {
	char chain[LISTENER_PATH_BYTES_MAX];
	char key[LISTENER_PATH_BYTES_MAX]; /* "": the chain's file has it, too */
};

/* What the name in a client's certificate is taken for. A client without a certificate, where that is optional, signs
 * in as on any other listener. */
enum certificate_names {
	CERTIFICATE_NAMES_NOTHING,
	/* It is signed in as that user; credentials in CONNECT are not looked at. */
	CERTIFICATE_NAMES_USER,
	/* It may use no other client id, and is assigned this one if it names none. It signs in besides, where that is
	 * configured; where it is not, the certificate is enough. */
	CERTIFICATE_NAMES_CLIENT_ID,
};

struct listener_settings {
	bool is_tls;
	bool is_websocket;
	bool is_unix;
	/* tls://, wss:// */
	struct certificate_files certificates[TLS_IDENTITIES_MAX];
	uint32_t certificate_count; /* 0: a certificate for development (control/development.h) */
	uint32_t key_count;         /* as many, or 0: none has a file of its own */
	bool only_tls_1_3;
	char ciphers[LISTENER_TEXT_BYTES_MAX]; /* "": the default */
	char ciphersuites[LISTENER_TEXT_BYTES_MAX];
	enum tls_client_certificates client_certificates;
	char client_ca_file[LISTENER_PATH_BYTES_MAX];
	char client_crl_file[LISTENER_PATH_BYTES_MAX];
	enum tls_identity_from identity_from;
	enum certificate_names certificate_names;
	/* ws://, wss:// */
	char path[LISTENER_PATH_BYTES_MAX]; /* "/mqtt" */
	char origins[LISTENER_ORIGINS_MAX][LISTENER_PATH_BYTES_MAX];
	uint32_t origin_count; /* 0: any */
	/* unix:// */
	uint32_t mode;   /* of the file; 0: 0660 */
	bool sets_owner; /* else it is the process's */
	bool sets_group;
	uid_t owner;
	gid_t group;
	/* Clients are signed in as the user "unix:UID", where UID is the number of the user whose process it is, as the
	 * kernel says (SO_PEERCRED); credentials in CONNECT are not looked at. Rules with %u, and revocations, apply.
	 */
	bool peer_names_user;
	/* From these networks connections begin with a PROXY head, and only from them. */
	struct network proxies[LISTENER_NETWORKS_MAX];
	uint32_t proxy_count;
	bool proxy_all_unix; /* unix://: each connection does */
};

#endif
