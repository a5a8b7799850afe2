#include "admin/metrics/back_ends.h"

#include "base/check.h"

#include <stddef.h>
#include <stdio.h>

#define NODE_LABELS_BYTES_MAX (CLUSTER_NAME_BYTES_MAX + 40u)

/* ---- of the cluster ---- */

static void write_flag(struct exposition *exposition, const struct snapshot *snapshot, size_t offset)
{
	if (snapshot->nodes.is_on)
		exposition_count(exposition, "", *(const bool *)((const char *)&snapshot->nodes + offset));
}

static void write_total(struct exposition *exposition, const struct snapshot *snapshot, size_t offset)
{
	if (snapshot->nodes.is_on)
		exposition_count(exposition, "",
				 *(const uint64_t *)(const void *)((const char *)&snapshot->nodes + offset));
}

static void write_in_step(struct exposition *exposition, const struct snapshot *snapshot, size_t unused)
{
	enum replica_state state = snapshot->nodes.replicas.own.state;
	(void)unused;
	if (snapshot->nodes.is_on && state != REPLICA_OFF)
		exposition_count(exposition, "", state == REPLICA_IN_STEP);
}

static void write_copies(struct exposition *exposition, const struct snapshot *snapshot, size_t unused)
{
	char labels[NODE_LABELS_BYTES_MAX];
	const struct replicas_status *replicas = &snapshot->nodes.replicas;
	(void)unused;
	for (uint32_t i = 0; i < replicas->copy_count; i++) {
		snprintf(labels, sizeof(labels), "peer=\"%s\"", replicas->copies[i].name);
		exposition_count(exposition, labels, replicas->copies[i].bytes);
	}
}

/* ---- of each other node ---- */

static const char *labels_of(const struct peer_status *peer, char labels[NODE_LABELS_BYTES_MAX])
{
	snprintf(labels, NODE_LABELS_BYTES_MAX, "peer=\"%s\"", peer->name);
	return labels;
}

static void nodes_write_states(struct exposition *exposition, const struct snapshot *snapshot, size_t unused)
{
	char labels[NODE_LABELS_BYTES_MAX];
	(void)unused;
	for (uint32_t i = 0; i < snapshot->nodes.peer_count; i++) {
		const struct peer_status *peer = &snapshot->nodes.peers[i];
		for (int state = PEER_ALIVE; state <= PEER_LEFT; state++) {
			snprintf(labels, sizeof(labels), "peer=\"%s\",state=\"%s\"", peer->name,
				 peer_state_name((enum peer_state)state));
			exposition_count(exposition, labels, peer->state == (enum peer_state)state);
		}
	}
}

static void write_of_peers(struct exposition *exposition, const struct snapshot *snapshot, size_t offset)
{
	char labels[NODE_LABELS_BYTES_MAX];
	for (uint32_t i = 0; i < snapshot->nodes.peer_count; i++) {
		const struct peer_status *peer = &snapshot->nodes.peers[i];
		exposition_count(exposition, labels_of(peer, labels),
				 *(const uint64_t *)(const void *)((const char *)peer + offset));
	}
}

static void write_faults(struct exposition *exposition, const struct snapshot *snapshot, size_t unused)
{
	char labels[NODE_LABELS_BYTES_MAX];
	(void)unused;
	for (uint32_t i = 0; i < snapshot->nodes.peer_count; i++) {
		const struct peer_status *peer = &snapshot->nodes.peers[i];
		exposition_count(exposition, labels_of(peer, labels), peer->fault[0] != '\0');
	}
}

static void write_round_trips(struct exposition *exposition, const struct snapshot *snapshot, size_t unused)
{
	char labels[NODE_LABELS_BYTES_MAX];
	(void)unused;
	for (uint32_t i = 0; i < snapshot->nodes.peer_count; i++) {
		const struct peer_status *peer = &snapshot->nodes.peers[i];
		if (peer->rtt_us != 0)
			exposition_number(exposition, labels_of(peer, labels), peer->rtt_us / 1e6);
	}
}

static void write_clocks(struct exposition *exposition, const struct snapshot *snapshot, size_t unused)
{
	char labels[NODE_LABELS_BYTES_MAX];
	(void)unused;
	for (uint32_t i = 0; i < snapshot->nodes.peer_count; i++) {
		const struct peer_status *peer = &snapshot->nodes.peers[i];
		exposition_number(exposition, labels_of(peer, labels), (double)peer->clock_ms / 1e3);
	}
}

#define OF_CLUSTER(field) offsetof(struct nodes_status, field)
#define OF_PEER(field) offsetof(struct peer_status, field)

static const struct metric NODES[] = {
	{PREFIX "cluster_connected", METRIC_GAUGE, "", "Whether this node is connected to NATS", write_flag,
	 OF_CLUSTER(is_connected)},
	{PREFIX "cluster_caught_up", METRIC_GAUGE, "", "Whether it has what the nodes that were alive when it came had",
	 write_flag, OF_CLUSTER(is_caught_up)},
	{PREFIX "cluster_reconnects", METRIC_COUNTER, "", "Times that the connection to NATS was made anew",
	 write_total, OF_CLUSTER(reconnects)},
	{PREFIX "cluster_claims", METRIC_COUNTER, "", "Clients whose session was asked for in the cluster", write_total,
	 OF_CLUSTER(claims)},
	{PREFIX "cluster_claims_timed_out", METRIC_COUNTER, "",
	 "Those that were served without an answer, because none came in time", write_total,
	 OF_CLUSTER(claims_timed_out)},
	{PREFIX "cluster_sessions_moved_in", METRIC_COUNTER, "", "Sessions that came from other nodes", write_total,
	 OF_CLUSTER(sessions_moved_in)},
	{PREFIX "cluster_sessions_moved_out", METRIC_COUNTER, "", "Sessions that went to other nodes", write_total,
	 OF_CLUSTER(sessions_moved_out)},
	{PREFIX "cluster_foreign_datagrams", METRIC_COUNTER, "",
	 "Datagrams that came for this node and were of no node that it knows", write_total,
	 OF_CLUSTER(foreign_datagrams)},
	{PREFIX "cluster_messages_unwanted", METRIC_COUNTER, "",
	 "Messages of other nodes that no client here had subscribed to: what the digests of filters cost", write_total,
	 OF_CLUSTER(arrivals.unwanted)},
	{PREFIX "cluster_messages_unsound", METRIC_COUNTER, "", "Those that were no messages", write_total,
	 OF_CLUSTER(arrivals.unsound)},
	{PREFIX "cluster_messages_dropped", METRIC_COUNTER, "", "Those that were dropped for want of memory",
	 write_total, OF_CLUSTER(arrivals.dropped)},
	{PREFIX "cluster_messages_copies", METRIC_COUNTER, "",
	 "Those that had come before, and went no further: a node was away meanwhile", write_total,
	 OF_CLUSTER(arrivals.copies)},
	{PREFIX "cluster_retained_taken", METRIC_COUNTER, "", "Changes of retained messages that other nodes made",
	 write_total, OF_CLUSTER(retained.taken)},
	{PREFIX "cluster_retained_found", METRIC_COUNTER, "",
	 "Those of them that had not come, and were found by comparing", write_total, OF_CLUSTER(retained.found)},
	{PREFIX "cluster_retained_refused", METRIC_COUNTER, "",
	 "Those for which there was no room here: this node stays different", write_total,
	 OF_CLUSTER(retained.refused)},
	{PREFIX "cluster_retained_ahead", METRIC_COUNTER, "",
	 "Those whose time is too far ahead of this node's clock to be followed", write_total,
	 OF_CLUSTER(retained.ahead)},
	{PREFIX "cluster_retained_tombstones", METRIC_GAUGE, "", "Cleared topics that are remembered", write_total,
	 OF_CLUSTER(retained.tombstones)},
	{PREFIX "cluster_revocations_taken", METRIC_COUNTER, "", "Revocations by other nodes that were done here, too",
	 write_total, OF_CLUSTER(revocations.taken)},
	{PREFIX "cluster_revocations_failed", METRIC_COUNTER, "",
	 "Revocations by other nodes that could not be done here, for want of room or of a disk", write_total,
	 OF_CLUSTER(revocations.failed)},
	{PREFIX "replica_in_step", METRIC_GAUGE, "",
	 "Whether another node has all that this one has acknowledged; nothing where no replica is configured",
	 write_in_step, 0},
	{PREFIX "replica_behind_bytes", METRIC_GAUGE, "", "What the replica was not sent yet", write_total,
	 OF_CLUSTER(replicas.own.behind_bytes)},
	{PREFIX "copy_bytes", METRIC_GAUGE, "peer", "Of the other node's store, that this node holds", write_copies, 0},
	{PREFIX "peer_state", METRIC_GAUGE, "peer, state",
	 "1 for the state that the other node is in, 0 for the others: alive; away, it is silent; left, it has said "
	 "good-bye",
	 nodes_write_states, 0},
	{PREFIX "peer_fault", METRIC_GAUGE, "peer", "Whether something is wrong with it; `roost ctl nodes` says what",
	 write_faults, 0},
	{PREFIX "peer_round_trip_seconds", METRIC_GAUGE, "peer", "From a message to it until it has come",
	 write_round_trips, 0},
	{PREFIX "peer_clock_ahead_seconds", METRIC_GAUGE, "peer", "How far its clock is ahead of this one's",
	 write_clocks, 0},
	{PREFIX "peer_clients", METRIC_GAUGE, "peer", "Clients connected to it, as it says", write_of_peers,
	 OF_PEER(clients)},
	{PREFIX "peer_filters", METRIC_GAUGE, "peer", "Filters that it has subscribers for", write_of_peers,
	 OF_PEER(filters)},
	{PREFIX "peer_messages_sent", METRIC_COUNTER, "peer", "Messages that were sent to it", write_of_peers,
	 OF_PEER(messages_out)},
	{PREFIX "peer_messages_received", METRIC_COUNTER, "peer", "Messages that came from it", write_of_peers,
	 OF_PEER(messages_in)},
	{PREFIX "peer_bytes_sent", METRIC_COUNTER, "peer", "Bytes that were sent to it", write_of_peers,
	 OF_PEER(bytes_out)},
	{PREFIX "peer_bytes_received", METRIC_COUNTER, "peer", "Bytes that came from it", write_of_peers,
	 OF_PEER(bytes_in)},
	{PREFIX "peer_waiting_messages", METRIC_GAUGE, "peer", "Messages that wait here until it is back",
	 write_of_peers, OF_PEER(waiting)},
	{PREFIX "peer_spooled_messages", METRIC_COUNTER, "peer",
	 "Messages for it that had to wait, because it was away or took what had waited", write_of_peers,
	 OF_PEER(spooled)},
	{PREFIX "peer_dropped_messages", METRIC_COUNTER, "peer",
	 "Messages for it that were dropped, at QoS 0 because it was away", write_of_peers, OF_PEER(dropped)},
};

#define NODE_METRIC_COUNT (sizeof(NODES) / sizeof(NODES[0]))

const struct metric *node_metric(size_t number)
{
	return number < NODE_METRIC_COUNT ? &NODES[number] : NULL;
}
