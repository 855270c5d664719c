<?php
/**
 * Answers questions about a site, and changes it, with WordPress's own functions.
 *
 * php ask.php FOLDER ADDRESS, a JSON list of [question, argument …] on standard input; a JSON list of
 * the answers on standard output. A question is the name of a function in this file.
 */

require __DIR__ . '/load.php';

/** Whether WordPress lets this person in, by login or e-mail: the user's number, or the code of the error. */
function login( $name, $password ) {
	$user = wp_authenticate( $name, $password );
	return is_wp_error( $user ) ? $user->get_error_code() : $user->ID;
}

/** A user as WordPress's own code sees them on this site. */
function user( $email ) {
	$user = get_user_by( 'email', $email );
	if ( ! $user ) {
		return null;
	}
	$user = get_userdata( $user->ID );
	return array(
		'id'           => $user->ID,
		'login'        => $user->user_login,
		'email'        => $user->user_email,
		'display_name' => $user->display_name,
		'first_name'   => $user->first_name,
		'last_name'    => $user->last_name,
		'nickname'     => $user->nickname,
		'roles'        => array_values( $user->roles ),
		'can_read'     => $user->has_cap( 'read' ),
		'super_admin'  => is_multisite() && is_super_admin( $user->ID ),
		'member'       => is_user_member_of_blog( $user->ID ),
		'tags'         => get_user_meta( $user->ID, 'bento_tags', true ),
		'contact_id'   => get_user_meta( $user->ID, 'bento_contact_id', true ),
	);
}

/** One meta value, unserialized. */
function meta( $id, $key ) {
	return get_user_meta( $id, $key, true );
}

/** An option, unserialized. */
function option( $name ) {
	return get_option( $name );
}

/** Whether an option's row has the very bytes that WordPress writes for its value. */
function is_stored_as_wordpress_does( $name ) {
	global $wpdb;
	$row = $wpdb->get_var( $wpdb->prepare( "SELECT option_value FROM $wpdb->options WHERE option_name = %s", $name ) );
	return maybe_serialize( get_option( $name ) ) === $row;
}

/** Stores options as the plugin does. */
function set_options( $options ) {
	foreach ( $options as $name => $value ) {
		update_option( $name, $value );
	}
	return true;
}

/** The number of users that WordPress has stored. */
function stored_user_count() {
	return is_multisite() ? get_network_option( null, 'user_count' ) : get_option( 'user_count' );
}

/** Makes a user as an owner would on the Users page. */
function make_user( $login, $email, $role ) {
	return wp_insert_user(
		array(
			'user_login' => $login,
			'user_email' => $email,
			'user_pass'  => wp_generate_password(),
			'role'       => $role,
		)
	);
}

/**
 * Adds a person from Bento as the recordings show it: the user with its columns and names, the notice about
 * a generated password, the fields in the order of the map, the contact id, the tags.
 */
function add( $person ) {
	$data = $person['columns'];
	$id   = wp_insert_user( wp_slash( $data ) );
	if ( is_wp_error( $id ) ) {
		return $id->get_error_code();
	}
	if ( $person['generated'] ) {
		update_user_option( $id, 'default_password_nag', true );
	}
	foreach ( $person['meta'] as $key => $value ) {
		update_user_meta( $id, $key, wp_slash( $value ) );
	}
	update_user_meta( $id, 'bento_contact_id', $person['uuid'] );
	update_user_meta( $id, 'bento_tags', wp_slash( $person['tags'] ) );
	return $id;
}

/** Puts an existing user of the network onto this site. */
function add_to_site( $email, $role, $uuid, $tags ) {
	$id     = get_user_by( 'email', $email )->ID;
	$result = add_user_to_blog( get_current_blog_id(), $id, $role );
	if ( is_wp_error( $result ) ) {
		return $result->get_error_code();
	}
	update_user_meta( $id, 'bento_contact_id', $uuid );
	update_user_meta( $id, 'bento_tags', $tags );
	return $id;
}

/** Makes another site in a directory of the network; its number. */
function make_site( $path, $title ) {
	$id = wpmu_create_blog( get_network()->domain, $path, $title, get_super_admin_id() );
	return is_wp_error( $id ) ? $id->get_error_code() : $id;
}

/** The first user, who owns the network. */
function get_super_admin_id() {
	return get_user_by( 'login', get_super_admins()[0] )->ID;
}

$questions = array( 'login', 'user', 'meta', 'option', 'is_stored_as_wordpress_does', 'set_options', 'stored_user_count', 'make_user', 'add', 'add_to_site', 'make_site' );
$answers   = array();
foreach ( json_decode( stream_get_contents( STDIN ), true, 512, JSON_THROW_ON_ERROR ) as $arguments ) {
	$question = array_shift( $arguments );
	if ( ! in_array( $question, $questions, true ) ) {
		throw new InvalidArgumentException( $question );
	}
	$answers[] = $question( ...$arguments );
}
echo json_encode( $answers, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES );
