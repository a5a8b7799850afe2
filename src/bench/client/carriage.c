#include "bench/client/carriage.h"

#include "base/check.h"

#include <math.h>
#include <stdio.h>

/* Of the suites that the record layer has. */
static const char *cipher_name(uint16_t cipher)
{
	switch (cipher) {
	case 0x1301:
	case 0xC02B:
	case 0xC02F:
		return "AES-128-GCM";
	case 0x1302:
	case 0xC02C:
	case 0xC030:
		return "AES-256-GCM";
	case 0x1303:
	case 0xCCA8:
	case 0xCCA9:
		return "ChaCha20-Poly1305";
	default:
		return "another cipher";
	}
}

void carriage_cipher(const struct carriage *carriage, char out[CARRIAGE_CIPHER_BYTES])
{
	out[0] = '\0';
	if (carriage->version != 0)
		snprintf(out, CARRIAGE_CIPHER_BYTES, "TLS %s, %s", carriage->version >= 0x0304 ? "1.3" : "1.2",
			 cipher_name(carriage->cipher));
}

double carriage_resumed_percent(const struct carriage *carriage)
{
	CHECK(carriage->resumed <= carriage->handshakes);
	return carriage->handshakes > 0 ? 100.0 * (double)carriage->resumed / (double)carriage->handshakes
					: (double)NAN;
}

double carriage_bytes_each(const struct carriage *carriage)
{
	uint64_t connections = carriage->handshakes > carriage->upgrades ? carriage->handshakes : carriage->upgrades;
	return connections > 0 ? (double)carriage->bytes / (double)connections : (double)NAN;
}

void carriage_report(struct report *report, const char *prefix, const struct carriage *carriage, double seconds)
{
	if (carriage->handshakes > 0) {
		char cipher[CARRIAGE_CIPHER_BYTES];
		carriage_cipher(carriage, cipher);
		report_text(report, prefix, "tls_cipher", cipher, "TLS");
		report_number(report, prefix, "tls_handshakes", (double)carriage->handshakes, 0, "TLS handshakes", "");
		if (seconds > 0)
			report_number(report, prefix, "tls_handshakes_per_s", (double)carriage->handshakes / seconds, 0,
				      "  rate", "/s");
		report_number(report, prefix, "tls_resumed_percent", carriage_resumed_percent(carriage), 1, "  resumed",
			      "%");
	}
	if (carriage->upgrades > 0)
		report_number(report, prefix, "websocket_upgrades", (double)carriage->upgrades, 0, "WebSocket upgrades",
			      "");
	if (carriage->handshakes > 0 || carriage->upgrades > 0)
		report_number(report, prefix, "opening_bytes_per_connection", carriage_bytes_each(carriage), 0,
			      "bytes of handshake and upgrade, each", "B");
}
