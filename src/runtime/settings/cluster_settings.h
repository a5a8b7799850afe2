/* Settings of a cluster: gateways that share their clients over NATS (docs/NODES.md). */
#ifndef RUNTIME_CLUSTER_SETTINGS_H
#define RUNTIME_CLUSTER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#define CLUSTER_URLS_BYTES_MAX 1024u
#define CLUSTER_PATH_BYTES_MAX 1024u
#define CLUSTER_NAME_BYTES_MAX 64u

struct cluster_settings {
	char nats[CLUSTER_URLS_BYTES_MAX]; /* URLs of NATS servers, with commas between them; "": this gateway is alone
					    */
	char name[CLUSTER_NAME_BYTES_MAX]; /* which all nodes share */
	char credentials_file[CLUSTER_PATH_BYTES_MAX]; /* for NATS; "": none, or those in the URLs */
	char ca_file[CLUSTER_PATH_BYTES_MAX];
	char certificate_file[CLUSTER_PATH_BYTES_MAX];
	char key_file[CLUSTER_PATH_BYTES_MAX];
	uint32_t timeout_ms;       /* a node that is silent for so long is away */
	uint32_t claim_timeout_ms; /* a client waits no longer for the session that another node has */
	uint32_t replicas;         /* other nodes that hold what this one has stored: 0 or 1 */
	uint32_t takeover_s;       /* a replica takes the sessions over of a node that has been away for so long */
	bool prefers_local;        /* shared subscriptions: members on the publisher's node go first */
};

static inline bool cluster_is_on(const struct cluster_settings *cluster)
{
	return cluster->nats[0] != '\0';
}

#endif
