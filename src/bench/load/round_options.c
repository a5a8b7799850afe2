#include "bench/load/round_options.h"

#include "bench/measure/stamp.h"

#define PAYLOAD_BYTES_MAX 65536u
#define PUBLISHERS_MAX (ROUND_CLIENTS_MAX * 64u)

_Static_assert(PAYLOAD_BYTES_MAX + CLIENT_PREFIX_BYTES_MAX + 64 <= CLIENT_PACKET_BYTES_MAX,
	       "a subscriber takes each of them");

const struct option_row ROUND_OPTIONS[] = {
	OPTION_ROW_U32("publishers", struct load_round, load.publishers, 1, PUBLISHERS_MAX),
	OPTION_ROW_U32("size", struct load_round, load.size, STAMP_BYTES, PAYLOAD_BYTES_MAX),
	OPTION_ROW("qos", OPTION_QOS, struct load_round, load.qos, uint8_t),
	OPTION_ROW("version", OPTION_VERSION, struct load_round, version, uint8_t),
	OPTION_ROW_U32("duration", struct load_round, duration_s, 1, 600),
	OPTION_ROW_U32("warm-up", struct load_round, warm_up_ms, 0, 60000),
	OPTION_ROW_PREFIX("topic-prefix", struct load_round, topic_prefix, CLIENT_PREFIX_BYTES_MAX),
	OPTION_ROW_PREFIX("client-prefix", struct load_round, client_prefix, CLIENT_PREFIX_BYTES_MAX),
	{0},
};
