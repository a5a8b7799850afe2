#include "bench/sessions/ledger.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64u
#define WORDS_FIRST 4u

static bool set_has(const struct ledger_set *set, uint64_t number)
{
	size_t word = number / WORD_BITS;
	return word < set->count && (set->words[word] >> number % WORD_BITS & 1u) != 0;
}

/* Returns false without memory. */
static bool set_add(struct ledger_set *set, uint64_t number)
{
	size_t word = number / WORD_BITS;
	if (word >= set->count) {
		size_t count = set->count > 0 ? set->count : WORDS_FIRST;
		while (count <= word)
			count *= 2;
		uint64_t *grown = realloc(set->words, count * sizeof(*grown));
		if (grown == NULL)
			return false;
		memset(grown + set->count, 0, (count - set->count) * sizeof(*grown));
		set->words = grown;
		set->count = count;
	}
	CHECK(word < set->count);
	set->words[word] |= UINT64_C(1) << number % WORD_BITS;
	return true;
}

static uint64_t set_word(const struct ledger_set *set, size_t word)
{
	return word < set->count ? set->words[word] : 0;
}

bool ledger_open(struct ledger *ledger, uint32_t publishers, uint32_t slots)
{
	CHECK(publishers > 0);
	*ledger = (struct ledger){
		.publishers = calloc(publishers, sizeof(*ledger->publishers)),
		.streams = calloc((size_t)publishers * slots + 1, sizeof(*ledger->streams)),
		.publisher_count = publishers,
		.slots = slots,
	};
	if (ledger->publishers != NULL && ledger->streams != NULL)
		return true;
	ledger_close(ledger);
	return false;
}

void ledger_close(struct ledger *ledger)
{
	for (uint32_t i = 0; ledger->publishers != NULL && i < ledger->publisher_count; i++)
		free(ledger->publishers[i].acknowledged.words);
	for (size_t i = 0; ledger->streams != NULL && i < (size_t)ledger->publisher_count * ledger->slots; i++) {
		free(ledger->streams[i].seen.words);
		free(ledger->streams[i].lost.words);
	}
	free(ledger->publishers);
	free(ledger->streams);
	ledger->publishers = NULL;
	ledger->streams = NULL;
}

struct ledger_stream *ledger_stream_at(struct ledger *ledger, uint32_t publisher, uint32_t slot)
{
	CHECK(publisher < ledger->publisher_count && slot < ledger->slots);
	return &ledger->streams[(size_t)publisher * ledger->slots + slot];
}

static void add_fault(struct ledger *ledger, enum ledger_fault_kind kind, uint32_t publisher, uint32_t slot,
		      uint64_t number)
{
	CHECK(kind < LEDGER_FAULT_KINDS);
	ledger->sums.faults[kind]++;
	ledger->at_qos[ledger->publishers[publisher].qos].faults[kind]++;
	if (ledger->fault_count < LEDGER_FAULTS_KEPT)
		ledger->faults[ledger->fault_count++] =
			(struct ledger_fault){.kind = kind, .publisher = publisher, .slot = slot, .number = number};
}

void ledger_acknowledge(struct ledger *ledger, uint32_t publisher, uint64_t number)
{
	CHECK(publisher < ledger->publisher_count);
	struct ledger_set *set = &ledger->publishers[publisher].acknowledged;
	CHECK(!set_has(set, number));
	if (!set_add(set, number)) {
		ledger->out_of_memory = true;
		return;
	}
	ledger->sums.acknowledged++;
	ledger->at_qos[ledger->publishers[publisher].qos].acknowledged++;
	for (uint32_t slot = 0; slot < ledger->slots; slot++) {
		const struct ledger_stream *stream = ledger_stream_at(ledger, publisher, slot);
		ledger->outstanding += stream->wanted && !set_has(&stream->seen, number);
	}
}

/* At QoS 1 alone is that no fault. */
static void add_repeated(struct ledger *ledger)
{
	ledger->sums.repeated++;
	ledger->at_qos[1].repeated++;
}

/* The number has been seen already, or has been given up. */
static bool receive_again(struct ledger *ledger, const struct ledger_stream *stream, uint32_t publisher, uint32_t slot,
			  uint64_t number)
{
	if (!set_has(&stream->seen, number))
		return false;
	if (set_has(&stream->lost, number))
		add_fault(ledger, LEDGER_LATE, publisher, slot, number);
	else if (ledger->publishers[publisher].qos == 1)
		add_repeated(ledger);
	else
		add_fault(ledger, LEDGER_DOUBLED, publisher, slot, number);
	return true;
}

void ledger_receive(struct ledger *ledger, uint32_t publisher, uint32_t slot, uint64_t number)
{
	struct ledger_stream *stream = ledger_stream_at(ledger, publisher, slot);
	CHECK(stream->wanted);
	if (receive_again(ledger, stream, publisher, slot, number))
		return;
	if (!set_add(&stream->seen, number)) {
		ledger->out_of_memory = true;
		return;
	}
	ledger->sums.arrived++;
	ledger->at_qos[ledger->publishers[publisher].qos].arrived++;
	if (set_has(&ledger->publishers[publisher].acknowledged, number)) {
		CHECK(ledger->outstanding > 0);
		ledger->outstanding--;
	}
	if (number >= stream->next)
		stream->next = number + 1;
	else if (stream->ordered)
		add_fault(ledger, LEDGER_REORDERED, publisher, slot, number);
}

static void give_up_stream(struct ledger *ledger, uint32_t publisher, uint32_t slot)
{
	struct ledger_stream *stream = ledger_stream_at(ledger, publisher, slot);
	const struct ledger_set *acknowledged = &ledger->publishers[publisher].acknowledged;
	for (size_t word = 0; word < acknowledged->count; word++) {
		uint64_t missing = acknowledged->words[word] & ~set_word(&stream->seen, word);
		for (; missing != 0; missing &= missing - 1) {
			uint64_t number = word * WORD_BITS + (uint64_t)__builtin_ctzll(missing);
			add_fault(ledger, LEDGER_MISSING, publisher, slot, number);
			if (!set_add(&stream->seen, number) || !set_add(&stream->lost, number))
				ledger->out_of_memory = true;
			CHECK(ledger->outstanding > 0);
			ledger->outstanding--;
		}
	}
}

void ledger_give_up(struct ledger *ledger)
{
	for (uint32_t publisher = 0; publisher < ledger->publisher_count; publisher++) {
		for (uint32_t slot = 0; slot < ledger->slots; slot++) {
			if (ledger_stream_at(ledger, publisher, slot)->wanted)
				give_up_stream(ledger, publisher, slot);
		}
	}
	CHECK(ledger->outstanding == 0 || ledger->out_of_memory);
}

static uint64_t set_count(const struct ledger_set *set)
{
	uint64_t sum = 0;
	for (size_t word = 0; word < set->count; word++)
		sum += (uint64_t)__builtin_popcountll(set->words[word]);
	return sum;
}

struct ledger_losers ledger_losers(const struct ledger *ledger)
{
	struct ledger_losers losers = {.least = UINT64_MAX};
	for (size_t i = 0; i < (size_t)ledger->publisher_count * ledger->slots; i++) {
		uint64_t lost = set_count(&ledger->streams[i].lost);
		uint64_t got = set_count(&ledger->streams[i].seen) - lost;
		if (lost == 0)
			continue;
		losers.count++;
		losers.least = got < losers.least ? got : losers.least;
		losers.most = got > losers.most ? got : losers.most;
	}
	return losers;
}

uint64_t ledger_acknowledged_until(const struct ledger *ledger, uint32_t publisher)
{
	CHECK(publisher < ledger->publisher_count);
	const struct ledger_set *set = &ledger->publishers[publisher].acknowledged;
	for (size_t word = set->count; word > 0; word--) {
		if (set->words[word - 1] != 0)
			return word * WORD_BITS - (uint64_t)__builtin_clzll(set->words[word - 1]);
	}
	return 0;
}

bool ledger_is_clean(const struct ledger *ledger)
{
	uint64_t sum = 0;
	for (uint32_t kind = 0; kind < LEDGER_FAULT_KINDS; kind++)
		sum += ledger->sums.faults[kind];
	return sum == 0 && ledger->outstanding == 0 && !ledger->out_of_memory;
}

const char *ledger_fault_name(enum ledger_fault_kind kind)
{
	static const char *const names[] = {
		[LEDGER_MISSING] = "missing",
		[LEDGER_DOUBLED] = "doubled",
		[LEDGER_REORDERED] = "out of order",
		[LEDGER_LATE] = "late",
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == LEDGER_FAULT_KINDS, "every kind has a name");
	CHECK(kind < LEDGER_FAULT_KINDS);
	return names[kind];
}
