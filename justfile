# The commands of daily work. Everything here is a plain cargo command or a script, so that nothing
# depends on this file; `.ci/run` runs the same ones.

# List the commands.
default:
    @just --list

# Install what a build (and, with --parts, a whole test run) needs.
setup *options:
    script/setup {{ options }}

# Show the mirror at work, with everything it needs.
demo:
    script/demo

# All tests, those against real clients and registries too.
test:
    script/test

# The tests beside the code: seconds, no clients, no registries.
quick *filter:
    cargo test --locked --lib {{ filter }}

# Long and random trouble, and figures of speed: some twenty minutes; the small numbers are among the tests.
torture *filter:
    script/torture {{ filter }}

# The mirror beside its peers: a table and plots in target/bench.
bench *options:
    script/bench {{ options }}

# Format the code.
fmt:
    cargo fmt

# What a change must pass beside the tests.
lint:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
    cargo deny check bans licenses sources

# Known vulnerabilities among the dependencies; needs the network.
advisories:
    cargo deny check advisories

# Everything that is checked before a change goes in.
ci:
    .ci/run
