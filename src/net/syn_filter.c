#include "net/syn_filter.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
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

#define V4_BITS_AHEAD 96u
#define WORDS 4u
/* Of a network: for each word load, mask, compare; then drop. */
#define INSTRUCTIONS_A_NETWORK (WORDS * 3u + 1u)
#define INSTRUCTIONS_AROUND 11u

struct program {
	struct sock_filter code[INSTRUCTIONS_AROUND + SYN_FILTER_NETWORKS_MAX * INSTRUCTIONS_A_NETWORK];
	uint16_t used;
};

static void emit(struct program *program, uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false)
{
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
	return bits == 0 ? 0 : bits >= 32 ? 0xffffffffu : 0xffffffffu << (32 - bits);
}

static bool is_v4(const struct network *network)
{
	return network->bits >= V4_BITS_AHEAD && word_of(network, 0) == 0 && word_of(network, 1) == 0 &&
	       word_of(network, 2) == 0xffffu;
}

/* Compares the source address word by word, as far as the network's bits go, and drops what is equal in all of them. */
static void emit_network(struct program *program, const struct network *network)
{
	bool v4 = is_v4(network);
	uint32_t first = v4 ? WORDS - 1 : 0;
	uint32_t source_at = (uint32_t)SKF_NET_OFF + (v4 ? V4_SOURCE_AT : V6_SOURCE_AT);
	uint32_t words = 0;
	while (first + words < WORDS && network->bits > (first + words) * 32)
		words++;
	for (uint32_t i = 0; i < words; i++) {
		uint32_t mask = mask_of(network->bits - (first + i) * 32);
		uint32_t left = words - i - 1;
		emit(program, BPF_LD | BPF_W | BPF_ABS, source_at + i * 4, 0, 0);
		emit(program, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
		emit(program, BPF_JMP | BPF_JEQ | BPF_K, word_of(network, first + i) & mask, 0,
		     (uint8_t)(left * 3 + 1));
	}
	emit(program, BPF_RET | BPF_K, DROP, 0, 0);
}

/* The networks of one family, where the packet is of it. */
static void emit_family(struct program *program, const struct network *networks, uint32_t count, bool v4)
{
	emit(program, BPF_LD | BPF_H | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL), 0, 0);
	/* Jumps reach 255 instructions: the long way goes by one that reaches further. */
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, v4 ? ETH_P_IP : ETH_P_IPV6, 1, 0);
	uint16_t skip = program->used;
	emit(program, BPF_JMP | BPF_JA, 0, 0, 0);
	for (uint32_t i = 0; i < count; i++) {
		if (is_v4(&networks[i]) == v4)
			emit_network(program, &networks[i]);
	}
	program->code[skip].k = (uint32_t)(program->used - skip - 1);
}

enum error syn_filter_attach(int listener, const struct network *networks, uint32_t count)
{
	if (count > SYN_FILTER_NETWORKS_MAX)
		return ERROR_LIMIT;
	if (count == 0) {
		int nothing = 0;
		setsockopt(listener, SOL_SOCKET, SO_DETACH_FILTER, &nothing, sizeof(nothing));
		return ERROR_OK;
	}
	struct program program = {.used = 0};
	emit(&program, BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS_AT, 0, 0);
	emit(&program, BPF_ALU | BPF_AND | BPF_K, TCP_SYN | TCP_ACK, 0, 0);
	emit(&program, BPF_JMP | BPF_JEQ | BPF_K, TCP_SYN, 1, 0);
	emit(&program, BPF_RET | BPF_K, KEEP, 0, 0);
	emit_family(&program, networks, count, true);
	emit_family(&program, networks, count, false);
	emit(&program, BPF_RET | BPF_K, KEEP, 0, 0);
	struct sock_fprog filter = {.len = program.used, .filter = program.code};
	return setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0 ? ERROR_OK
												: ERROR_SYSTEM;
}
