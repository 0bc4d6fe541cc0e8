#!/bin/bash
# Builds perch for release: the same bytes each time, a position-independent
# program without debug information that needs nothing newer than JetPack 6 has.
#   cross/build.sh amd64|arm64 VERSION OUT
set -euo pipefail
arch=${1:?usage: build.sh amd64|arm64 VERSION OUT} version=${2:?} out=${3:?}
here=$(dirname "$(realpath "$0")")
[ "$(dpkg --print-architecture)" = amd64 ] || { echo "build.sh: this needs an amd64 machine; on another one, make build gives a program for itself" >&2; exit 69; }

# In the user's cache and not in the checkout: Go's cache key holds these paths,
# and a second clone should not compile go-gst (6 minutes) again.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/perch/cross
mkdir -p "$cache" "$(dirname "$out")"

# Go's cache key does not hold what a header says, so its name has to.
install_hashed() { # FILE MODE: prints where it is
	local to
	to=$cache/$(sha256sum <"$1" | cut -c1-12)-$(basename "$1")
	install -m "$2" "$1" "$to.$$" && mv "$to.$$" "$to"
	echo "$to"
}
compat=$(install_hashed "$here/gstcompat.h" 644)
export CGO_ENABLED=1 GOOS=linux GOARCH=$arch
export CGO_CFLAGS="-O2 -g0 -include $compat"
export CGO_LDFLAGS="-Wl,--as-needed -Wl,-O1"

if [ "$arch" = arm64 ]; then
	export CROSS_SYSROOT=$cache/sysroot-arm64
	"$here/sysroot.sh" "$CROSS_SYSROOT"
	CC=$(install_hashed "$here/aarch64-cc" 755)
	export CC
	export PKG_CONFIG_SYSROOT_DIR=$CROSS_SYSROOT PKG_CONFIG_PATH=
	export PKG_CONFIG_LIBDIR=$CROSS_SYSROOT/usr/lib/aarch64-linux-gnu/pkgconfig:$CROSS_SYSROOT/usr/share/pkgconfig
	# As above: another sysroot is another key.
	CGO_CFLAGS+=" -DCROSS_SYSROOT_ID=0x$(sha256sum <"$CROSS_SYSROOT/SHA256SUMS" | cut -c1-15)"
	CGO_LDFLAGS+=" -Wl,--allow-shlib-undefined"
fi
cd "$here/.."
go build -trimpath -buildvcs=false -buildmode=pie \
	-ldflags "-s -w -buildid= -B none -X main.version=$version -linkmode=external -extldflags '-Wl,-z,relro,-z,now'" \
	-o "$out" ./cmd/perch
