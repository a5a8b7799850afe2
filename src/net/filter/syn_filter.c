#include "net/filter/syn_filter.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>

/* Offsets in the packet: the filter of a TCP socket begins at the TCP header. */
#define TCP_FLAGS_AT 13u
#define TCP_SYN 0x02u
#define TCP_ACK 0x10u
#define V4_SOURCE_AT 12u
#define V6_SOURCE_AT 8u

#define KEEP 0xffffffffu
#define DROP 0u

#define WORD_BITS 32u
#define WORDS 4u
/* For each word of a network: load, mask, compare; then return. */
#define INSTRUCTIONS_PER_NETWORK (WORDS * 3u + 1u)
/* The flags; for each family its protocol, and the address into the program's memory; the end. */
#define INSTRUCTIONS_AROUND (4u + 3u + 2u + 3u + 2u * WORDS + 1u)

#define INSTRUCTIONS_MAX (INSTRUCTIONS_AROUND + SYN_FILTER_RULES_MAX * INSTRUCTIONS_PER_NETWORK)
_Static_assert(INSTRUCTIONS_MAX <= BPF_MAXINSNS, "the kernel takes a program with all rules");
_Static_assert(WORDS <= BPF_MEMWORDS, "an address fits the program's memory");

struct program {
	struct sock_filter code[INSTRUCTIONS_MAX];
	uint16_t used;
};

static void emit(struct program *program, uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false)
{
	CHECK(program->used < sizeof(program->code) / sizeof(program->code[0]));
	program->code[program->used++] = (struct sock_filter){.code = code, .jt = if_true, .jf = if_false, .k = value};
}

static uint32_t word_of(const struct network *network, uint32_t word)
{
	uint32_t value;
	memcpy(&value, network->prefix.bytes + word * 4, sizeof(value));
	return ntohl(value);
}

static uint32_t mask_of(uint32_t bits)
{
	return bits == 0 ? 0 : bits >= WORD_BITS ? 0xffffffffu : 0xffffffffu << (WORD_BITS - bits);
}

static bool network_is_v4(const struct network *network)
{
	return network->bits >= PREFIX_V4_BITS && word_of(network, 0) == 0 && word_of(network, 1) == 0 &&
	       word_of(network, 2) == 0xffffu;
}

/* As network_has() sees it: a network as wide as ::/0 contains the IPv4 addresses too. */
static bool has_all_v4(const struct network *network)
{
	static const struct prefix MAPPED = {{[10] = 0xff, [11] = 0xff}};
	return network->bits <= PREFIX_V4_BITS && network_has(network, &MAPPED);
}

/* Compares the source address word by word, as far as the network's bits go, and decides where all are equal. The
 * address is in the program's memory, an IPv4 one in the last word. */
static void emit_rule(struct program *program, const struct syn_rule *rule, uint32_t first)
{
	const struct network *network = &rule->network;
	uint32_t end = first;
	while (end < WORDS && network->bits > end * WORD_BITS)
		end++;
	for (uint32_t word = first; word < end; word++) {
		uint32_t mask = mask_of(network->bits - word * WORD_BITS);
		bool last = word + 1 == end;
		uint32_t last_mask = mask_of(network->bits - (end - 1) * WORD_BITS);
		uint32_t after = last ? 1u : (end - word - 1) * 2u + (last_mask != 0xffffffffu) + 1u;
		emit(program, BPF_LD | BPF_MEM, word, 0, 0);
		if (mask != 0xffffffffu)
			emit(program, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
		emit(program, BPF_JMP | BPF_JEQ | BPF_K, word_of(network, word) & mask, 0, (uint8_t)after);
	}
	emit(program, BPF_RET | BPF_K, rule->drops ? DROP : KEEP, 0, 0);
}

/* Begins a part that packets of another protocol skip. Returns the place of its jump, for end_family() to complete.
 * Conditional jumps reach 255 instructions, so the long way goes by an unconditional one. */
static uint16_t begin_family(struct program *program, uint32_t protocol)
{
	emit(program, BPF_LD | BPF_H | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL), 0, 0);
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, protocol, 1, 0);
	emit(program, BPF_JMP | BPF_JA, 0, 0, 0);
	return (uint16_t)(program->used - 1);
}

static void end_family(struct program *program, uint16_t skip)
{
	CHECK(skip < program->used);
	program->code[skip].k = (uint32_t)(program->used - skip - 1);
}

static void emit_v4(struct program *program, const struct syn_rule *rules, uint32_t count)
{
	uint16_t skip = begin_family(program, ETH_P_IP);
	emit(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + V4_SOURCE_AT, 0, 0);
	emit(program, BPF_ST, WORDS - 1, 0, 0);
	for (uint32_t i = 0; i < count; i++) {
		if (has_all_v4(&rules[i].network))
			emit(program, BPF_RET | BPF_K, rules[i].drops ? DROP : KEEP, 0, 0);
		else if (network_is_v4(&rules[i].network))
			emit_rule(program, &rules[i], WORDS - 1);
	}
	end_family(program, skip);
}

static void emit_v6(struct program *program, const struct syn_rule *rules, uint32_t count)
{
	uint16_t skip = begin_family(program, ETH_P_IPV6);
	for (uint32_t word = 0; word < WORDS; word++) {
		emit(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + V6_SOURCE_AT + word * 4, 0, 0);
		emit(program, BPF_ST, word, 0, 0);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!network_is_v4(&rules[i].network))
			emit_rule(program, &rules[i], 0);
	}
	end_family(program, skip);
}

static bool syn_filter_try(int listener, const struct syn_rule *rules, uint32_t count)
{
	struct program program = {.used = 0};
	emit(&program, BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS_AT, 0, 0);
	emit(&program, BPF_ALU | BPF_AND | BPF_K, TCP_SYN | TCP_ACK, 0, 0);
	emit(&program, BPF_JMP | BPF_JEQ | BPF_K, TCP_SYN, 1, 0);
	emit(&program, BPF_RET | BPF_K, KEEP, 0, 0);
	emit_v4(&program, rules, count);
	emit_v6(&program, rules, count);
	emit(&program, BPF_RET | BPF_K, KEEP, 0, 0);
	struct sock_fprog filter = {.len = program.used, .filter = program.code};
	return setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0;
}

uint32_t syn_filter_attach(int listener, const struct syn_rule *rules, uint32_t count)
{
	uint32_t most = count < SYN_FILTER_RULES_MAX ? count : SYN_FILTER_RULES_MAX;
	int why = 0;
	for (; most > 0; most /= 2) {
		if (syn_filter_try(listener, rules, most))
			return most;
		why = errno;
	}
	/* The filter before must not keep out addresses that nobody refuses any more. */
	syn_filter_detach(listener);
	errno = why;
	return 0;
}

void syn_filter_detach(int fd)
{
	int nothing = 0;
	setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &nothing, sizeof(nothing));
}

bool syn_filter_drops(int listener, uint32_t *drops)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t size = sizeof(memory);
	if (getsockopt(listener, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0 ||
	    size <= SK_MEMINFO_DROPS * sizeof(memory[0]))
		return false;
	*drops = memory[SK_MEMINFO_DROPS];
	return true;
}
