<?php
// Prints the pairs "A OP B" with which Composer disagrees. The argument is
// the autoloader of composer/semver.
require $argv[1];
$parser = new Composer\Semver\VersionParser();
while ($line = fgets(STDIN)) {
    [$a, $op, $b] = explode(' ', trim($line));
    $order = version_compare($parser->normalize($a), $parser->normalize($b));
    if ($order !== ['<' => -1, '=' => 0][$op]) {
        echo $line;
    }
}
