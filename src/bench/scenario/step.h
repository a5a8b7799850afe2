/* What one step of a run has measured, whether it held what the scenario expects, and where the knee is. Pure. */
#ifndef BENCH_STEP_H
#define BENCH_STEP_H

#include "bench/measure/histogram.h"
#include "bench/scenario/scenario.h"

#define STEP_FAULT_BYTES 256u
#define STEP_CURVE_POINTS 12u
#define STEP_NONE UINT32_MAX

/* The percentiles of a step's curve. */
extern const double STEP_CURVE_PERCENT[STEP_CURVE_POINTS];

/* NAN: not known. Counts are of the whole step, figures a second and latencies of the time behind the warm-up. */
struct step {
	double load; /* what the scenario says, or NAN */
	double measured_s;
	double offered;   /* messages that were due, a second */
	double delivered; /* messages that came, a second */
	/* from when a message was due to when it came */
	double mean_ms;
	double p50_ms;
	double p99_ms;
	double p999_ms;
	double max_ms;
	double curve_ms[STEP_CURVE_POINTS];
	/* how late the bench itself was to send what was due */
	double late_p99_ms;
	double late_max_ms;
	/* Little's law: what was on its way, as it was counted; rate x latency says the same */
	double in_flight;
	double sign_ins; /* of clients that reconnect, a second */
	double sign_in_p50_ms;
	double sign_in_p99_ms;
	double server_cpu_us; /* a delivered message; where only reconnects are made, a sign-in */
	double server_cpu_percent;
	double client_cpu_percent;
	double other_cpu_percent;
	double server_bytes; /* resident memory a client, above what it was without any */
	uint64_t due;        /* messages */
	uint64_t sent;
	uint64_t expected; /* deliveries of what was sent */
	uint64_t received; /* without doubles */
	uint64_t lost;
	uint64_t doubled;
	uint64_t reordered;
	uint64_t foreign;              /* not ours, or not meant for who got them */
	uint64_t unsent;               /* due, and not sent when the step was over */
	uint64_t unacknowledged;       /* whose handshake did not end */
	uint64_t reconnects;           /* that were due */
	uint64_t clients_lost;         /* and sign-ins that failed */
	bool died;                     /* the server, or all that it held */
	char breach[STEP_FAULT_BYTES]; /* "": all objectives held */
};

/* Fills mean, percentiles and curve. */
void step_note_latency(struct step *step, const struct histogram *latency, uint64_t sum_ns);

/* Of all that was tried, what failed: clients lost, messages that could not be sent or whose handshake did not end. */
double step_error_rate(const struct step *step);

/* Rate times latency: how many messages are on their way by Little's law. */
double step_little(const struct step *step);

/* True where the latency is the bench's own: it was late by more than a tenth of the p99. */
bool step_is_late(const struct step *step);

/* Fills in step->breach: the first objective that did not hold, with its figure. */
void step_judge(struct step *step, const struct objectives *objectives);

/* The last step that held, of steps up to the first that did not; STEP_NONE if even the first one did not. */
uint32_t steps_knee(const struct step *steps, uint32_t count);

#endif
