#include "admin/metrics/consumers.h"

#include "base/check.h"

#include <stdio.h>

#define CONSUMER_LABELS_BYTES_MAX (ITEM_NAME_BYTES_MAX + 40u)

static uint64_t consumer_count(const struct consumer_status *consumer, enum consumer_metric metric)
{
	switch (metric) {
	case CONSUMER_METRIC_PUBLISHED:
		return consumer->counts.published;
	case CONSUMER_METRIC_BYTES:
		return consumer->counts.bytes;
	case CONSUMER_METRIC_COMMANDS:
		return consumer->counts.commands;
	case CONSUMER_METRIC_EXPIRED:
		return consumer->counts.expired;
	case CONSUMER_METRIC_DEAD:
		return consumer->counts.dead;
	case CONSUMER_METRIC_CLAIMED:
		return consumer->counts.claimed;
	case CONSUMER_METRIC_AGAIN:
		return consumer->counts.again;
	case CONSUMER_METRIC_RETRIES:
		return consumer->counts.retries;
	case CONSUMER_METRIC_LAG:
		return consumer->lag;
	case CONSUMER_METRIC_PENDING:
		return consumer->pending;
	case CONSUMER_METRIC_DELAY:
	case CONSUMER_METRIC_STATE:
		break;
	}
	CHECK(false);
	return 0;
}

static void write_consumer_states(struct exposition *exposition, const struct consumer_status *consumer)
{
	char labels[CONSUMER_LABELS_BYTES_MAX];
	for (int state = CONSUMER_STARTING; state <= CONSUMER_WAITING; state++) {
		snprintf(labels, sizeof(labels), "consumer=\"%s\",state=\"%s\"", consumer->name,
			 consumer_state_name((enum consumer_state)state));
		exposition_count(exposition, labels, consumer->state == (enum consumer_state)state);
	}
}

void consumers_metric_write(struct exposition *exposition, const struct consumers_status *status,
			    enum consumer_metric metric)
{
	char labels[CONSUMER_LABELS_BYTES_MAX];
	CHECK_LE(status->count, CONSUMERS_MAX);
	for (uint32_t i = 0; i < status->count; i++) {
		const struct consumer_status *consumer = &status->consumers[i];
		snprintf(labels, sizeof(labels), "consumer=\"%s\"", consumer->name);
		if (metric == CONSUMER_METRIC_STATE)
			write_consumer_states(exposition, consumer);
		else if (metric == CONSUMER_METRIC_DELAY)
			exposition_number(exposition, labels, consumer->delay_s);
		else if (metric != CONSUMER_METRIC_LAG || consumer->has_lag)
			exposition_count(exposition, labels, consumer_count(consumer, metric));
	}
}
