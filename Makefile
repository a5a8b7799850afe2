# Verbs over Meson and Ninja. Each one sees to the Debian packages that it needs, so that it works on a fresh machine.
# Parameters:
#   make run ARGS="--listen tcp://127.0.0.1:1884"     options for `roost serve`
#   make run ROOST_STORE=                             without a store; ROOST_STORE=DIR: with another one
#   make test ARGS="unit scenario"                    some stages only; `tools/check.py --help` lists them
#   make fuzz FUZZ_SECONDS=600                        a target's time
#   make simulate SECONDS=60                          in place of an hour
#   make play SEED=17 STEPS=200                       a play that failed, made small
#   make crash ROUNDS=20                              in place of 1,000
#   make power CUTS=500                               in place of all
#   make partitions SEED=17 ROUNDS=100                in place of ten, the first by chance
#   make stored SESSIONS=1000000                      in place of 100,000
#   make install PREFIX=/usr DESTDIR=/tmp/stage       where to

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
SECONDS = 3600
SEED ?= 1
STEPS ?= 200
ROUNDS ?= 1000
CUTS ?= all
SESSIONS ?= 100000
ARGS ?=
# Not below build/, which `make clean` removes.
ROOST_STORE ?= run/store
PYTHON = /usr/bin/python3

.DEFAULT_GOAL = help
.PHONY: help run build test campaign conformance bench startup tail million million-tls million-upgrade upgrade-load upgrade-versions durable backends crash power partitions nodes stored asan tsan fuzz simulate play sweep lint format install deb image package-test clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r verb what; do \
		printf '  make %-11s %s\n' "$$verb" "$$what"; done

run: build ## build, then serve on tcp://127.0.0.1:1883 until interrupted
	@mkdir -p run && exec build/roost serve $(if $(ROOST_STORE),--store "$(ROOST_STORE)") $(ARGS)

build: ## build/roost
	@tools/setup.sh build
	@tools/build.sh build roost

test: ## the tests of a change, those of units under AddressSanitizer; ends with one line of sums
	@tools/setup.sh build test
	@$(PYTHON) tools/check.py $(ARGS)

campaign: ## what `make test` has no time for: scenarios under ASan, threads under TSan, every step, the package
	@tools/setup.sh build test package machine
	@$(PYTHON) tools/check.py campaign

asan: ## the tests against a build with AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/setup.sh build test
	@$(PYTHON) tools/check.py asan-unit asan-fuzz asan-scenario asan-interop asan-random

tsan: ## the tests with threads against a build with ThreadSanitizer
	@tools/setup.sh build test
	@$(PYTHON) tools/check.py tsan-unit tsan-scenario

conformance: ## test suites of brokers that others wrote; the stages `scenario` and `interop` have our own
	@tools/setup.sh build test
	@tools/build.sh build roost
	@$(PYTHON) tools/conformance.py $(ARGS)

fuzz: ## each fuzz target for FUZZ_SECONDS, beginning with its corpus
	@tools/setup.sh build fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/fuzz.sh $(ARGS)

simulate: ## random plays of clients, shards and a kernel that does what it may, for SECONDS; seeds that fail are made small
	@tools/setup.sh build test
	@tools/build.sh build -Dtests=enabled -- tests/unit/sim/simulate
	@build/tests/unit/sim/simulate --seconds $(SECONDS) --shrink $(ARGS)

play: ## the play of SEED with STEPS again, made small if it fails
	@tools/setup.sh build test
	@tools/build.sh build -Dtests=enabled -- tests/unit/sim/simulate
	@build/tests/unit/sim/simulate --seed $(SEED) --steps $(STEPS) --shrink $(ARGS)

sweep: ## many such plays, in each run of which one request for memory is refused, or all from one on
	@tools/setup.sh build test
	@tools/build.sh build -Dtests=enabled -- tests/unit/sim/sweep
	@build/tests/unit/sim/sweep --seeds 1-60 --steps 300 $(ARGS)
	@build/tests/unit/sim/sweep --seeds 61-90 --steps 300 --from-there $(ARGS)
	@build/tests/unit/sim/sweep --seeds 91-120 --steps 300 --faults $(ARGS)

lint: ## layers, format, clang-tidy and cppcheck
	@tools/setup.sh build test lint
	@$(PYTHON) tools/check.py layers format tidy cppcheck

format: ## rewrite the C sources in the project's format
	@tools/setup.sh test
	@git ls-files -z --cached --others --exclude-standard '*.c' '*.h' | xargs -0 clang-format -i

bench: ## messages and memory, with the bare relay and Debian's mosquitto beside
	@tools/setup.sh build test
	@tools/build.sh build roost
	@tools/bench.sh $(ARGS)

startup: ## memory and mapped objects of a server before its first client; ROOST_BEFORE=PATH: another build beside
	@tools/setup.sh build
	@tools/build.sh build roost
	@$(PYTHON) tools/startup_memory.py $(ROOST_BEFORE) build/roost $(ARGS)

tail: ## latency's tail under a light load and a storm, with mosquitto and a neighbour beside; ROOST_BEFORE=PATH: another build too
	@tools/setup.sh build test
	@tools/build.sh build roost
	@$(PYTHON) tools/tail.py $(ARGS)

million: ## a million clients, held for two minutes, then a clean stop
	@tools/setup.sh build million
	@tools/build.sh build roost
	@tools/million.sh $(ARGS)

million-tls: ## the same over TLS 1.3, with both ends here
	@tools/setup.sh build million
	@tools/build.sh build roost
	@TRANSPORT=tls tools/million.sh $(ARGS)

million-upgrade: ## the program replaced under a million clients: how long any of them waits
	@tools/setup.sh build million
	@tools/build.sh build roost
	@$(PYTHON) tools/million_upgrade.py $(ARGS)

upgrade-load: ## the same under a load whose every message is accounted for: ARGS="--clients 2000 --upgrades 100 --between 0.2"
	@tools/setup.sh build
	@tools/build.sh build roost
	@$(PYTHON) tools/upgrade_load.py $(ARGS)

upgrade-versions: ## upgrades to a program whose memory is laid out in another way, and back, under live clients; TAG=v0.2.0: from that version
	@tools/setup.sh build test
	@tools/build.sh build roost
	@$(PYTHON) tools/upgrade_versions.py $(if $(TAG),--tag $(TAG)) $(ARGS)

durable: ## durable messages, half of the sessions offline: with a store, without, and Debian's mosquitto with persistence
	@tools/setup.sh build test
	@tools/build.sh build roost
	@$(PYTHON) tools/durable.py $(ARGS)

backends: ## rules, consumers and presence with a real Redis: rates, processor time, an outage of 30 s, 100,000 clients that vanish
	@tools/setup.sh build test
	@tools/build.sh build roost
	@$(PYTHON) tools/backends.py $(ARGS)

crash: ## a server with a store, upgraded and killed with kill -9 under load ROUNDS times: what it had acknowledged must be there
	@tools/setup.sh build
	@tools/build.sh build roost
	@build/roost bench crash --rounds $(ROUNDS) --upgrade 50 $(ARGS)

power: ## losses of power between any two syncs of the store's disk: CUTS of them, and whether all that was acknowledged is there
	@tools/setup.sh build test
	@tools/build.sh build -Dtests=enabled -- roost tests/crash/disk_trace.so
	@ROOST_POWER_CUTS=$(CUTS) ROOST_POWER_KILLS=20 $(PYTHON) -m pytest -q -s tests/crash/power_cut.py \
		tests/crash/power_cut_after_faults.py tests/crash/kills.py $(ARGS)

partitions: ## plays on three nodes that are killed, paused and cut off, with a checker over what their clients saw; SEED, ROUNDS, ARGS=--shorten
	@tools/setup.sh build test
	@tools/build.sh build roost
	@$(PYTHON) tests/cluster/partitions.py $(if $(filter-out file default,$(origin SEED)),--seed $(SEED)) $(if $(filter-out file default,$(origin ROUNDS)),--rounds $(ROUNDS)) $(ARGS)

nodes: ## what a cluster of nodes costs, against one node, and what clients notice of it: ARGS="alone remote takeover memory kill million"
	@tools/setup.sh build test
	@tools/build.sh build roost
	@$(PYTHON) tools/nodes.py $(ARGS)

stored: ## SESSIONS offline sessions with a queued message each: memory and disk of one, seconds to stop and to start
	@tools/setup.sh build
	@tools/build.sh build roost
	@$(PYTHON) tools/stored.py --sessions $(SESSIONS) $(ARGS)

install: ## program, systemd unit, manual pages and licence under DESTDIR and PREFIX; a configuration where there is none
	@tools/setup.sh build
	@tools/build.sh build-install -Dprefix=$(PREFIX) -Dtests=disabled -Dbuildtype=debugoptimized
	@DESTDIR=$(DESTDIR) meson install --no-rebuild -C build-install
	@[ -e "$(DESTDIR)/etc/roost/roost.yaml" ] || install -D -m 0644 build-install/roost.service.yaml "$(DESTDIR)/etc/roost/roost.yaml"
	@install -D -m 0644 debian/roost.sysusers "$(DESTDIR)$(PREFIX)/lib/sysusers.d/roost.conf"

image: ## an OCI image with the program and its libraries alone, for podman, docker and the like
	@tools/setup.sh build image
	@tools/image.sh

deb: ## the Debian package, in build/deb
	@tools/setup.sh build package
	@tools/deb.sh

package-test: deb ## install, upgrade under live clients, remove and purge it in a Debian of its own, with systemd; as root
	@tools/setup.sh test machine
	@tools/package_test.sh $(ARGS)

clean: ## remove what the verbs above have built
	@rm -rf build build-asan build-tsan build-fuzz build-install tests/interop/node_modules
