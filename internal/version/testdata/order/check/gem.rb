# Prints the pairs "A OP B" with which Gem::Version disagrees.
$stdin.each_line(chomp: true) do |line|
  a, op, b = line.split
  puts line if (Gem::Version.new(a) <=> Gem::Version.new(b)) != { "<" => -1, "=" => 0 }[op]
end
