#include "bench/restart/restart_account.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* Pairs of channel and slot, of 50 bytes and more each. */
#define PAIRS_MAX 1000000u

/* The group that the channel's publisher is in. */
static const struct scenario_group *group_of_channel(const struct expectations *expectations, uint32_t channel)
{
	const struct scenario *scenario = expectations->scenario;
	const struct scenario_group *found = NULL;
	for (uint32_t g = 0; g < scenario->group_count; g++) {
		bool publishes = (scenario->groups[g].role & ROLE_PUBLISHER) != 0;
		if (publishes && expectations->channel_first[g] <= channel)
			found = &scenario->groups[g];
	}
	CHECK(found != NULL);
	return found;
}

/* A message arrives at the lower QoS of publisher and subscription [MQTT-3.8.4-8]: at another one than the
 * publisher's, an acknowledgement promises its publisher something else than the subscriber gets. */
static bool qos_agrees(const struct restart_account *account)
{
	const struct expectations *expectations = account->expectations;
	const struct scenario *scenario = expectations->scenario;
	for (uint32_t g = 0; g < scenario->group_count; g++) {
		const struct scenario_group *group = &scenario->groups[g];
		if ((group->role & ROLE_SUBSCRIBER) == 0)
			continue;
		uint32_t first = expectations->subscriber_first[g];
		for (uint32_t s = expectations->first_stream[first];
		     s < expectations->first_stream[first + group->count]; s++) {
			if (group_of_channel(expectations, expectations->stream_channel[s])->qos != group->qos)
				return false;
		}
	}
	return true;
}

/* Numbers the streams of each channel. Returns how many a channel has at most; 0: no memory. */
static uint32_t number_streams(struct restart_account *account)
{
	const struct expectations *expectations = account->expectations;
	uint32_t streams = expectations->first_stream[expectations->subscriber_count];
	uint32_t *used = calloc(expectations->channel_count + 1u, sizeof(*used));
	uint32_t most = 1;
	account->slots = calloc(streams + 1u, sizeof(*account->slots));
	for (uint32_t s = 0; used != NULL && account->slots != NULL && s < streams; s++) {
		uint32_t channel = expectations->stream_channel[s];
		account->slots[s] = used[channel]++;
		most = used[channel] > most ? used[channel] : most;
	}
	bool good = used != NULL && account->slots != NULL;
	free(used);
	return good ? most : 0;
}

const char *restart_account_open(struct restart_account *account, const struct expectations *expectations)
{
	*account = (struct restart_account){.expectations = expectations};
	atomic_init(&account->server_is_down, false);
	if (!qos_agrees(account))
		return "with a restart, publishers and those who subscribe to them need the same qos";
	uint32_t slots = number_streams(account);
	if (slots == 0)
		return "out of memory";
	if ((uint64_t)slots * expectations->channel_count > PAIRS_MAX)
		return "too many pairs of publisher and subscriber to account for across a restart: fewer clients";
	if (!ledger_open(&account->ledger, expectations->channel_count, slots))
		return "out of memory";
	for (uint32_t channel = 0; channel < expectations->channel_count; channel++)
		account->ledger.publishers[channel].qos = (uint8_t)group_of_channel(expectations, channel)->qos;
	for (uint32_t s = 0; s < expectations->first_stream[expectations->subscriber_count]; s++) {
		struct ledger_stream *stream =
			ledger_stream_at(&account->ledger, expectations->stream_channel[s], account->slots[s]);
		stream->wanted = stream->ordered = true;
	}
	return NULL;
}

void restart_account_close(struct restart_account *account)
{
	ledger_close(&account->ledger);
	free(account->slots);
	account->slots = NULL;
}

void restart_account_acknowledge(struct restart_account *account, uint32_t channel, uint64_t number)
{
	ledger_acknowledge(&account->ledger, channel, number);
}

bool restart_account_receive(struct restart_account *account, const struct audit_stream *stream, uint64_t number)
{
	const struct expectations *expectations = account->expectations;
	uint32_t index = (uint32_t)(stream - expectations->streams);
	CHECK(index < expectations->first_stream[expectations->subscriber_count]);
	uint64_t before = account->ledger.sums.arrived;
	ledger_receive(&account->ledger, expectations->stream_channel[index], account->slots[index], number);
	return account->ledger.sums.arrived > before;
}

static struct step_audit audit_of(const struct ledger_sums *sums)
{
	return (struct step_audit){
		.acknowledged = sums->acknowledged,
		.arrived = sums->arrived,
		.repeated = sums->repeated,
		.missing = sums->faults[LEDGER_MISSING],
		.doubled = sums->faults[LEDGER_DOUBLED],
		.reordered = sums->faults[LEDGER_REORDERED] + sums->faults[LEDGER_LATE],
	};
}

static struct step_audit audit_between(const struct step_audit *then, const struct step_audit *now)
{
	CHECK(now->acknowledged >= then->acknowledged && now->arrived >= then->arrived);
	return (struct step_audit){
		.acknowledged = now->acknowledged - then->acknowledged,
		.arrived = now->arrived - then->arrived,
		.repeated = now->repeated - then->repeated,
		.missing = now->missing - then->missing,
		.doubled = now->doubled - then->doubled,
		.reordered = now->reordered - then->reordered,
	};
}

void restart_account_note_step(struct restart_account *account, struct step *step)
{
	struct step_restart *settled = &account->settled;
	struct step_restart *restart = &step->restart;
	ledger_give_up(&account->ledger);
	restart->sessions_lost = account->sessions_lost - settled->sessions_lost;
	restart->identifiers_reused = account->identifiers_reused - settled->identifiers_reused;
	restart->refused = account->refused - settled->refused;
	settled->sessions_lost = account->sessions_lost;
	settled->identifiers_reused = account->identifiers_reused;
	settled->refused = account->refused;
	step->lost = step->doubled = step->reordered = 0;
	for (uint32_t qos = 0; qos < 3; qos++) {
		struct step_audit now = audit_of(&account->ledger.at_qos[qos]);
		restart->at_qos[qos] = audit_between(&settled->at_qos[qos], &now);
		settled->at_qos[qos] = now;
		step->lost += restart->at_qos[qos].missing;
		step->doubled += restart->at_qos[qos].doubled;
		step->reordered += restart->at_qos[qos].reordered;
	}
}
