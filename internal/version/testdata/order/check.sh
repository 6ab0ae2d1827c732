#!/usr/bin/env bash
# Asks each ecosystem's own tool about the facts in the files next to this
# script: every neighbouring pair of a chain. A tool that is missing is reported
# and skipped; a fact that a tool denies makes the script fail.
set -uo pipefail
cd "$(dirname "$0")"
failed=0

# pairs FILE prints each neighbouring pair of the chains as "A OP B".
pairs() {
  sed 's/[[:space:]]*#.*//' "$1" | awk '{ for (i = 1; i + 2 <= NF; i += 2) print $i, $(i+1), $(i+2) }'
}

# check FILE TOOL COMMAND… runs the command, which reads pairs "A OP B" and
# prints those with which its tool disagrees.
check() {
  local file=$1 tool=$2 wrong
  shift 2
  if ! wrong=$(pairs "$file" | "$@"); then
    echo "$file: $tool: the tool failed"
    failed=1
  elif [ -n "$wrong" ]; then
    echo "$file: $tool disagrees:"
    echo "$wrong"
    failed=1
  else
    echo "$file: $tool agrees with $(pairs "$file" | wc -l) facts"
  fi
}

skip() { echo "$1: skipped: $2"; }

with_dpkg() {
  while read -r a op b; do
    case $op in '<') rel=lt ;; '=') rel=eq ;; esac
    dpkg --compare-versions "$a" "$rel" "$b" || echo "$a $op $b"
  done
}
if command -v dpkg > /dev/null; then check dpkg.txt dpkg with_dpkg; else skip dpkg.txt "no dpkg"; fi

with_apk() {
  while read -r a op b; do
    [ "$(apk version -t "$a" "$b")" = "$op" ] || echo "$a $op $b"
  done
}
if command -v apk > /dev/null; then check apk.txt apk with_apk; else skip apk.txt "no apk"; fi

# Debian installs the Python packages for the system's own Python.
python() { PYTHONWARNINGS=ignore "$(command -v /usr/bin/python3 || echo python3)" "$@"; }
if python -c 'import rpm' 2> /dev/null; then check rpm.txt rpm python check/rpm_labels.py; else skip rpm.txt "no Python module rpm"; fi
if python -c 'import packaging' 2> /dev/null; then check pypi.txt packaging python check/pypi.py; else skip pypi.txt "no Python module packaging"; fi

# npm brings the module along.
export NODE_PATH="${NODE_PATH:-}:$(npm root -g 2> /dev/null)/npm/node_modules"
if node -e 'require("semver")' 2> /dev/null; then
  check npm.txt semver node check/semver.js
  check semver.txt semver node check/semver.js
else
  skip npm.txt "no Node module semver"
  skip semver.txt "no Node module semver"
fi

check go.txt x/mod/semver go run check/gomod.go

if command -v ruby > /dev/null; then check rubygems.txt Gem::Version ruby check/gem.rb; else skip rubygems.txt "no ruby"; fi

composer=$(ls /usr/share/php/Composer/Semver/autoload.php 2> /dev/null || true)
if command -v php > /dev/null && [ -n "$composer" ]; then
  check packagist.txt composer/semver php check/composer.php "$composer"
else
  skip packagist.txt "no php with composer/semver"
fi

maven=$(ls /usr/share/java/maven-artifact-3.x.jar /usr/share/maven/lib/maven-artifact-*.jar 2> /dev/null | head -1)
if command -v java > /dev/null && [ -n "$maven" ]; then
  check maven.txt ComparableVersion java -cp "$maven" check/Maven.java
else
  skip maven.txt "no java with maven-artifact"
fi

if command -v Rscript > /dev/null; then check cran.txt compareVersion Rscript check/cran.R; else skip cran.txt "no R"; fi
if command -v runghc > /dev/null; then check hackage.txt Data.Version runghc check/Hackage.hs; else skip hackage.txt "no runghc"; fi
skip nuget.txt "by its documentation"
skip pub.txt "by its documentation"
exit $failed
