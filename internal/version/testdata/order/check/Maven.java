import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.maven.artifact.versioning.ComparableVersion;

/** Prints the pairs "A OP B" with which Maven disagrees. */
class Maven {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String[] f = line.split(" ");
            int order = new ComparableVersion(f[0]).compareTo(new ComparableVersion(f[2]));
            if (Integer.signum(order) != (f[1].equals("<") ? -1 : 0)) {
                System.out.println(line);
            }
        }
    }
}
