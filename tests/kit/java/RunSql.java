import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/** Runs the statements of a Flink SQL file in this process; an INSERT over a bounded source is waited for. */
public class RunSql {
    public static void main(String[] args) throws Exception {
        TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().build());
        tables.getConfig().set("execution.checkpointing.interval", "2 s");
        tables.getConfig().set("parallelism.default", "1");
        tables.getConfig().set("restart-strategy.type", "none");
        tables.getConfig().set("table.local-time-zone", "UTC");
        String script = Files.readString(Path.of(args[0])).replaceAll("(?m)^--.*$", "");
        Matcher names = Pattern.compile("\\$\\{(\\w+)}").matcher(script);
        String filled = names.replaceAll(name -> Matcher.quoteReplacement(System.getenv(name.group(1))));
        for (String statement : filled.split(";\\s*\\n")) {
            if (statement.isBlank()) continue;
            TableResult result = tables.executeSql(statement);
            if (statement.stripLeading().startsWith("INSERT")) result.await();
        }
    }
}
