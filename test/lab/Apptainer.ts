import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { at, user } from "./Place.ts"
import { must } from "./Shell.ts"

/**
 * `apptainer` on PATH: enters Debian sid, where Apptainer is, with namespaces that need no privilege, sees this machine's /tmp and /home
 * there, and becomes Apptainer. A build takes the local base.
 */
const wrapper = `#!/bin/bash
if [ "$1" = build ]; then
  set -- build --build-arg BOOTSTRAP=localimage --build-arg BUILD_FROM=${at.base} --build-arg FROM=${at.base} "\${@:2}"
fi
exec unshare --user --map-current-user --keep-caps --mount /bin/bash -c '
set -e
ROOT=$1; shift
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
for f in passwd group hosts resolv.conf; do mount --bind "/etc/$f" "$ROOT/etc/$f"; done
for d in proc sys dev tmp home; do mount --rbind "/$d" "$ROOT/$d"; done
mount --bind "$ROOT/lab/fuse" "$ROOT/dev/fuse"
cwd=$PWD
cd "$ROOT"
pivot_root . .
umount -l .
cd "$cwd" 2>/dev/null || cd /
exec setpriv --ambient-caps=-all --inh-caps=-all /usr/bin/apptainer "$@"
' enter ${at.apptainerRoot} "$@"
`

/** The first mirror of Debian among the machine's own sources of packages. */
const mirror = must(
  "the mirror of Debian",
  `apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v security | head -n 1`
).pipe(Effect.map(({ out }) => out.trim()))

const debootstrap = Effect.fnUntraced(function* (suite: string, packages: string, root: string) {
  if (fs.existsSync(path.join(root, "lab/done"))) return
  fs.rmSync(root, { recursive: true, force: true })
  yield* must(
    `debootstrap ${suite}`,
    `debootstrap --variant=minbase --include=${packages} ${suite} ${root} ${yield* mirror} &&
      rm -rf ${root}/var/cache/apt/archives/*.deb && mkdir ${root}/lab && touch ${root}/lab/done`
  )
})

/** Node and npm of this machine, the trust and the registry of this machine's npm, no device nodes: a user copies it. */
const finishBase = must(
  "the base of the image",
  `set -eu
  base=${at.base}
  npm=$(dirname "$(dirname "$(realpath "$(command -v npm)")")")
  mkdir -p $base/usr/local/lib/node_modules $base/usr/local/etc
  cp -L "$(command -v node)" $base/usr/local/bin/node
  rm -rf $base/usr/local/lib/node_modules/npm
  cp -a "$npm" $base/usr/local/lib/node_modules/npm
  ln -sfn ../lib/node_modules/npm/bin/npm-cli.js $base/usr/local/bin/npm
  cp /etc/ssl/certs/ca-certificates.crt $base/etc/ssl/certs/ca-certificates.crt
  printf 'registry=%s\\ncafile=%s\\n' "$(npm config get registry)" /etc/ssl/certs/ca-certificates.crt >$base/usr/local/etc/npmrc
  rm -rf $base/dev/* $base/var/lib/apt/lists/*
  chown -R ${user}:${user} $base`
)

export const setUp = Effect.gen(function* () {
  yield* debootstrap(
    "sid",
    "apptainer,ca-certificates,squashfs-tools,fuse2fs,squashfuse,fuse-overlayfs,uidmap",
    at.apptainerRoot
  )
  yield* debootstrap("bookworm", "libstdc++6,ca-certificates", at.base)
  yield* finishBase
  yield* must(
    "Apptainer's root",
    `cd ${at.apptainerRoot} && touch etc/hosts etc/resolv.conf && { [ -e lab/fuse ] || mknod -m 666 lab/fuse c 10 229; }`
  )
  fs.mkdirSync(at.bin, { recursive: true })
  fs.writeFileSync(path.join(at.bin, "apptainer"), wrapper, { mode: 0o755 })
  fs.chmodSync(path.join(at.bin, "apptainer"), 0o755)
})
