#include "admin/metrics/bridges.h"

#include "base/check.h"

#include <stdio.h>

#define BRIDGE_LABELS_BYTES_MAX (ITEM_NAME_BYTES_MAX + 40u)

static uint64_t bridge_count(const struct bridge_status *bridge, enum bridge_metric metric)
{
	const struct bridge_counts *counts = &bridge->counts;
	switch (metric) {
	case BRIDGE_METRIC_SENT:
		return counts->sent;
	case BRIDGE_METRIC_SENT_BYTES:
		return counts->sent_bytes;
	case BRIDGE_METRIC_RECEIVED:
		return counts->received;
	case BRIDGE_METRIC_RECEIVED_BYTES:
		return counts->received_bytes;
	case BRIDGE_METRIC_DEAD:
		return counts->dead;
	case BRIDGE_METRIC_REFUSED:
		return counts->refused;
	case BRIDGE_METRIC_LOOPED:
		return counts->looped;
	case BRIDGE_METRIC_CONNECTIONS:
		return counts->connections;
	case BRIDGE_METRIC_RETRIES:
		return counts->retries;
	case BRIDGE_METRIC_BACKLOG:
		return bridge->backlog_messages;
	case BRIDGE_METRIC_BACKLOG_BYTES:
		return bridge->backlog_bytes;
	case BRIDGE_METRIC_DROPPED:
		return bridge->dropped;
	case BRIDGE_METRIC_STATE:
		break;
	}
	CHECK(false);
	return 0;
}

static void write_bridge_states(struct exposition *exposition, const struct bridge_status *bridge)
{
	char labels[BRIDGE_LABELS_BYTES_MAX];
	for (int state = BRIDGE_STARTING; state <= BRIDGE_WAITING; state++) {
		snprintf(labels, sizeof(labels), "bridge=\"%s\",state=\"%s\"", bridge->name,
			 bridge_state_name((enum bridge_state)state));
		exposition_count(exposition, labels, bridge->state == (enum bridge_state)state);
	}
}

void bridges_metric_write(struct exposition *exposition, const struct bridges_status *status, enum bridge_metric metric)
{
	char labels[BRIDGE_LABELS_BYTES_MAX];
	CHECK_LE(status->count, MQTT_BRIDGES_MAX);
	for (uint32_t i = 0; i < status->count; i++) {
		const struct bridge_status *bridge = &status->bridges[i];
		snprintf(labels, sizeof(labels), "bridge=\"%s\"", bridge->name);
		if (metric == BRIDGE_METRIC_STATE)
			write_bridge_states(exposition, bridge);
		else
			exposition_count(exposition, labels, bridge_count(bridge, metric));
	}
}
