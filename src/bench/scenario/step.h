/* What was measured in one step of a run, whether it met the scenario's objectives, and where the knee is. Pure. */
#ifndef BENCH_STEP_H
#define BENCH_STEP_H

#include "bench/measure/histogram.h"
#include "bench/scenario/scenario.h"

#define STEP_FAULT_BYTES 256u
#define STEP_CURVE_POINTS 12u
#define STEP_NONE UINT32_MAX

/* The percentiles of a step's curve. */
extern const double STEP_CURVE_PERCENT[STEP_CURVE_POINTS];

/* What was promised at one QoS, and what came of it, across the step's restart. */
struct step_audit {
	uint64_t acknowledged; /* messages */
	uint64_t arrived;      /* deliveries, each once */
	uint64_t repeated;     /* at QoS 1, where that is allowed */
	uint64_t missing;      /* deliveries of acknowledged messages */
	uint64_t doubled;      /* at QoS 0 and 2 */
	uint64_t reordered;
};

/* The server's restart in a step. */
struct step_restart {
	bool made;
	double stop_ms;              /* from the signal to the end of the process */
	double start_ms;             /* from then until it accepts connections again */
	uint64_t sessions_lost;      /* that were there before, and were not resumed */
	uint64_t identifiers_reused; /* at QoS 2, before PUBREL: a client would lose that message */
	uint64_t refused;            /* messages, by a reason code of 0x80 or above */
	struct step_audit at_qos[3];
};

/* NAN: not known. Counts cover the whole step; rates and latencies cover the time after the warm-up. */
struct step {
	double load; /* what the scenario says, or NAN */
	double measured_s;
	double offered;   /* messages that were due, a second */
	double delivered; /* messages that arrived, a second */
	/* from when a message was due to when it arrived */
	double mean_ms;
	double p50_ms;
	double p99_ms;
	double p999_ms;
	double max_ms;
	double curve_ms[STEP_CURVE_POINTS];
	/* how late the bench itself was to send what was due */
	double late_p99_ms;
	double late_max_ms;
	/* messages under way, as counted; by Little's law, rate x latency should say the same */
	double in_flight;
	double sign_ins;        /* of clients that reconnect, a second */
	double handshakes;      /* of TLS, a second */
	double resumed_percent; /* of these */
	double sign_in_p50_ms;
	double sign_in_p99_ms;
	double server_cpu_us; /* a delivered message, or a sign-in if clients only reconnect */
	double server_cpu_percent;
	double client_cpu_percent;
	double other_cpu_percent;
	double server_bytes; /* resident memory a client, above that without clients */
	uint64_t due;        /* messages */
	uint64_t sent;
	uint64_t expected; /* deliveries of what was sent */
	uint64_t received; /* without duplicates */
	uint64_t lost;
	uint64_t doubled;
	uint64_t reordered;
	uint64_t foreign;        /* not ours, or not meant for the client that got them */
	uint64_t unsent;         /* due, but not sent when the step was over */
	uint64_t unacknowledged; /* messages whose handshake did not end */
	uint64_t reconnects;     /* that were due */
	uint64_t clients_lost;   /* and sign-ins that failed */
	struct step_restart restart;
	bool died;                     /* the server, or all its connections */
	char breach[STEP_FAULT_BYTES]; /* "": all objectives were met */
};

/* Fills mean, percentiles and curve. */
void step_note_latency(struct step *step, const struct histogram *latency, uint64_t sum_ns);

/* The share of attempts that failed: clients lost, messages that could not be sent or whose handshake did not end. */
double step_error_rate(const struct step *step);

/* Rate times latency: how many messages are on their way by Little's law. */
double step_little(const struct step *step);

/* The latency is partly the bench's own: it was late by more than a tenth of the p99. */
bool step_is_late(const struct step *step);

/* Fills in step->breach: the first objective that was missed, with its figure. */
void step_judge(struct step *step, const struct objectives *objectives);

/* The last step before the first that missed an objective; STEP_NONE if the first step missed one. */
uint32_t steps_knee(const struct step *steps, uint32_t count);

#endif
