-- Prints the pairs "A OP B" with which Data.Version disagrees.
import Data.List (sortOn)
import Data.Version (Version, parseVersion, versionBranch)
import Text.ParserCombinators.ReadP (readP_to_S)

version :: String -> Version
version = fst . last . sortOn (length . versionBranch . fst) . readP_to_S parseVersion

main :: IO ()
main = interact (unlines . filter (denied . words) . lines)
  where
    denied [a, "<", b] = not (version a < version b)
    denied [a, "=", b] = version a /= version b
    denied _ = True
